//! The only place with raw system calls: thin, safe functions with errors that name the call.
