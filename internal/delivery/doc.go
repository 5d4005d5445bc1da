// Package delivery sends requests to the targets of subscriptions and to URLs that people typed in.
//
// A Worker works in turns. One goroutine writes: each turn is one transaction that stores the results since the last turn
// and leases new deliveries, so that under load many results share one flush. Senders, one goroutine for each attempt under
// way, never touch the database for writing. What links both is a queue for each subscription that has something to send,
// and for the resends from each capture URL to typed URLs: the deliveries that are leased, how many are under way, and when to look for more.
//
// A jq condition is decided before its delivery is sent and outside of what may be under way: see filterTurns.
//
// The table of deliveries is the queue. A queue in memory is only a window on it and can be thrown away at any time: what
// was leased by a process that died is found and sent again.
package delivery
