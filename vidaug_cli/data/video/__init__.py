"""From a file to pixels and back: the only place that knows PyAV."""
