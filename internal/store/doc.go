// Package store keeps everything that Hookkeeper knows in one SQLite file; it is the only place with SQL.
//
// # One writer
//
// All writes go through one connection that one goroutine owns (see writer). Captures are committed in groups: a sender's
// goroutine hands in its request and waits; the writer commits what has gathered in one transaction with one flush
// (WAL, synchronous=FULL) and wakes the whole group at once. A nil error from Capture therefore means: on disk.
// Everything else that writes is a job of the same goroutine, in a transaction of its own, between two groups.
//
// # Many readers
//
// Reads use a small pool of read-only connections and never wait for the writer. Capture URLs, with their counts, are
// also kept in memory (see index), because every capture looks one up.
//
// # What is on disk
//
// Times are Unix microseconds. Header lists are stored in a compact form of our own (see headers.go). A request that
// was deleted together with others is hidden at once by capture_url_stats.cleared_up_to, and its row is removed later, in
// batches beside the captures.
package store
