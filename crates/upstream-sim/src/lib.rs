//! A fake provider.
