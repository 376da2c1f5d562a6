create table if not exists airlines (
    carrier text primary key,
    name    text not null
);
create table if not exists airports (
    code text primary key,
    name text not null
);
create table if not exists planes (
    tail_number  text primary key,
    manufacturer text not null,
    model        text not null,
    seats        integer not null check (seats > 0)
);
create table if not exists flights (
    id              text primary key,
    day             date not null,
    carrier         text not null,
    airline         text not null,
    number          integer not null,
    origin          text not null,
    destination     text not null,
    destination_name text not null,
    distance        integer not null check (distance > 0),
    scheduled       integer not null,
    departed        integer not null,
    arrived         integer not null,
    departure_delay integer,
    arrival_delay   integer,
    air_time        integer,
    tail_number     text,
    aircraft        text,
    seats           integer
);
create index if not exists flights_by_destination on flights (destination) include (arrival_delay);
