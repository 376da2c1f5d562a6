"""Controls of running policies: statistics, and changes by hand."""
