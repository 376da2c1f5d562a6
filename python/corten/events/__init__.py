"""What happened, as frozen details for whoever subscribed."""
