"""Tests of Corten; a package so that plugins and benches can use its servers."""
