"""The types and checks that fields of policies share."""
