//! The series of one instrument: found by their attributes, capped, kept in order.

use std::any::Any;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::RwLock;

use super::attributes::check_attributes;
use super::snapshot::{InstrumentSnapshot, SeriesSnapshot, Value};
use super::{Attributes, Kind, MetricsError};

/// One set of attributes with its aggregate, made when the attributes first occur.
pub trait Series: Sized {
    /// Data that all series of an instrument share, such as the bounds of a histogram.
    type Shape;
    /// The kind of the instrument.
    const KIND: Kind;
    /// Makes a series that has measured nothing.
    fn new(attributes: Arc<Attributes>, shape: &Self::Shape) -> Self;
    /// The series' own attributes.
    fn attributes(&self) -> &Arc<Attributes>;
    /// The value now.
    fn read(&self) -> Value;
}

/// An instrument: its description and all of its series.
///
/// The instrument or else its first series fixes the names of the attributes. A look-up takes a shared lock; making a
/// series takes it exclusively.
pub struct Family<S: Series> {
    name: Arc<str>,
    description: Arc<str>,
    unit: Arc<str>,
    shape: S::Shape,
    max_series: usize,
    names: OnceLock<Box<[Box<str>]>>,
    table: RwLock<Table<S>>,
    hasher: DefaultHashBuilder,
    overflow: OnceLock<Arc<S>>,
    overflowed: AtomicU64,
}

struct Table<S> {
    by_values: HashTable<Entry<S>>,
    sorted: Vec<Arc<S>>,
}

struct Entry<S> {
    values: Box<[Box<str>]>,
    series: Arc<S>,
}

impl<S: Series> Family<S> {
    pub(super) fn new(name: &str, description: &str, unit: &str, shape: S::Shape, max_series: usize) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            unit: unit.into(),
            shape,
            max_series,
            names: OnceLock::new(),
            table: RwLock::new(Table { by_values: HashTable::new(), sorted: Vec::new() }),
            hasher: DefaultHashBuilder::default(),
            overflow: OnceLock::new(),
            overflowed: AtomicU64::new(0),
        }
    }

    /// The name without the suffixes of the text format.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The description, for people.
    pub fn description(&self) -> &Arc<str> {
        &self.description
    }

    /// `seconds`, `bytes`, or empty.
    pub fn unit(&self) -> &Arc<str> {
        &self.unit
    }

    pub(super) fn shape(&self) -> &S::Shape {
        &self.shape
    }

    /// Names of the attributes in the order of their declaration, or None before it.
    pub fn attribute_names(&self) -> Option<&[Box<str>]> {
        self.names.get().map(|names| &**names)
    }

    /// Fixes the names of the attributes, or checks that they equal the fixed names in any order.
    ///
    /// # Errors
    /// The names differ from the fixed names, or the text format can't carry one.
    pub fn declare(&self, names: &[&str]) -> Result<(), MetricsError> {
        check_attributes(&self.name, names)?;
        let declared = self.names.get_or_init(|| names.iter().map(|name| Box::from(*name)).collect());
        if same_names(declared, names.iter().copied()) {
            Ok(())
        } else {
            Err(self.differs("attributes", format!("({})", declared.join(", ")), format!("({})", names.join(", "))))
        }
    }

    /// The series of these attributes, made at first use. Keep the series to spare further look-ups.
    ///
    /// # Errors
    /// The attributes differ from the instrument's.
    pub fn series(&self, attributes: &[(&str, &str)]) -> Result<Arc<S>, MetricsError> {
        if self.names.get().is_none() {
            let names: Vec<&str> = attributes.iter().map(|(name, _)| *name).collect();
            self.declare(&names)?;
        }
        let names = self.attribute_names().unwrap_or_default();
        if !same_names(names, attributes.iter().map(|(name, _)| *name)) {
            return Err(self.wrong_attributes(attributes.iter().map(|(name, _)| (*name).to_owned()).collect()));
        }
        let values: Vec<&str> = names
            .iter()
            .filter_map(|name| attributes.iter().find(|(given, _)| *given == &**name).map(|(_, value)| *value))
            .collect();
        Ok(self.with(&values, Arc::clone))
    }

    /// Calls `act` with the series of these values, which are in the order of [`Self::attribute_names`].
    ///
    /// `act` runs under the shared lock: it must be short and must not call the family.
    pub fn with<R>(&self, values: &[&str], act: impl FnOnce(&Arc<S>) -> R) -> R {
        let hash = self.hash(values);
        {
            let table = self.table.read();
            if let Some(entry) = table.by_values.find(hash, |entry| same_values(entry, values)) {
                return act(&entry.series);
            }
            if table.sorted.len() >= self.max_series {
                drop(table);
                return act(self.overflow_series());
            }
        }
        let mut table = self.table.write();
        if let Some(entry) = table.by_values.find(hash, |entry| same_values(entry, values)) {
            return act(&entry.series);
        }
        if table.sorted.len() >= self.max_series {
            drop(table);
            return act(self.overflow_series());
        }
        let names = self.attribute_names().unwrap_or_default();
        let attributes = Attributes::new(names.iter().map(|name| &**name).zip(values.iter().copied()));
        let series = Arc::new(S::new(Arc::new(attributes), &self.shape));
        let place = table.sorted.partition_point(|other| other.attributes() < series.attributes());
        table.sorted.insert(place, Arc::clone(&series));
        let entry = Entry { values: values.iter().map(|value| Box::from(*value)).collect(), series };
        let made = table.by_values.insert_unique(hash, entry, |entry| {
            let mut hasher = self.hasher.build_hasher();
            entry.values.iter().for_each(|value| hash_value(&mut hasher, value));
            hasher.finish()
        });
        act(&made.get().series)
    }

    /// Every series, the overflow series among them, sorted by attributes.
    pub fn all(&self) -> Vec<Arc<S>> {
        let table = self.table.read();
        let mut all = Vec::with_capacity(table.sorted.len() + 1);
        all.extend(table.sorted.iter().cloned());
        if let Some(overflow) = self.overflow.get() {
            let place = all.partition_point(|other| other.attributes() < overflow.attributes());
            all.insert(place, Arc::clone(overflow));
        }
        all
    }

    /// The number of series without the overflow series.
    pub fn len(&self) -> usize {
        self.table.read().sorted.len()
    }

    /// Whether there is no series yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a series was the overflow series because of the cap.
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Relaxed)
    }

    /// The error for attributes that differ from the instrument's.
    pub fn wrong_attributes(&self, given: Vec<String>) -> MetricsError {
        let expected = self.attribute_names().unwrap_or_default().iter().map(ToString::to_string).collect();
        MetricsError::WrongAttributes(self.name.to_string(), expected, given)
    }

    pub(super) fn differs(&self, property: &'static str, registered: String, requested: String) -> MetricsError {
        MetricsError::Differs(self.name.to_string(), S::KIND, property, registered, requested)
    }

    fn overflow_series(&self) -> &Arc<S> {
        self.overflowed.fetch_add(1, Relaxed);
        self.overflow.get_or_init(|| Arc::new(S::new(Arc::new(Attributes::overflow()), &self.shape)))
    }

    fn hash(&self, values: &[&str]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        values.iter().for_each(|value| hash_value(&mut hasher, value));
        hasher.finish()
    }
}

/// An instrument of any kind, as the registry keeps it.
pub(super) trait AnyFamily: Any + Send + Sync {
    fn kind(&self) -> Kind;
    fn snapshot(&self) -> InstrumentSnapshot;
    /// The number of series, and of measurements in the overflow series.
    fn size(&self) -> (usize, u64);
}

impl<S: Series + Send + Sync + 'static> AnyFamily for Family<S>
where
    S::Shape: Send + Sync,
{
    fn kind(&self) -> Kind {
        S::KIND
    }

    fn snapshot(&self) -> InstrumentSnapshot {
        let series =
            |series: Arc<S>| SeriesSnapshot { attributes: Arc::clone(series.attributes()), value: series.read() };
        InstrumentSnapshot {
            name: Arc::clone(&self.name),
            kind: S::KIND,
            description: Arc::clone(&self.description),
            unit: Arc::clone(&self.unit),
            series: self.all().into_iter().map(series).collect(),
        }
    }

    fn size(&self) -> (usize, u64) {
        (self.len(), self.overflowed())
    }
}

fn hash_value(hasher: &mut impl Hasher, value: &str) {
    hasher.write(value.as_bytes());
    hasher.write_u8(0xff); // not a byte of UTF-8, so that ("ab", "c") differs from ("a", "bc")
}

fn same_values<S>(entry: &Entry<S>, values: &[&str]) -> bool {
    entry.values.len() == values.len() && entry.values.iter().zip(values).all(|(ours, theirs)| **ours == **theirs)
}

fn same_names<'a>(declared: &[Box<str>], given: impl ExactSizeIterator<Item = &'a str>) -> bool {
    declared.len() == given.len() && {
        let mut missing: Vec<&str> = declared.iter().map(|name| &**name).collect();
        for name in given {
            missing.retain(|other| *other != name);
        }
        missing.is_empty()
    }
}
