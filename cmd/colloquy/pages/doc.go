// Package pages keeps the program itself small in memory.
//
// To start, a node runs code and reads tables that it never needs again: tens of
// megabytes of the program's file stay mapped because of it. They are counted
// for every process that runs the program, and the kernel is slow to see that
// nobody uses them, which matters on a machine with little memory.
package pages
