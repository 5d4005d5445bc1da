// Package archtest holds the house to its drawing: who may import whom, and what stands where. A package without a row
// in its table fails.
package archtest
