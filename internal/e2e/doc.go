// Package e2e holds tests and benchmarks that use Hookkeeper from outside: the real binary, real sockets, a real database
// and a real browser. Heavy ones run in a short form unless HOOKKEEPER_TEST_LONG is set; with HOOKKEEPER_TEST_ALL a
// missing browser or strace is a failure instead of a skipped test.
package e2e
