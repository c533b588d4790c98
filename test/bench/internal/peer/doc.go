// SPDX-License-Identifier: MPL-2.0

// Package peer makes a program that the benchmark drives. The same program is the host
// of its subjects, in one process, and their server, in others:
//
//	program drive            reads requests of package wire, and answers them
//	program serve ARGS...    serves; the drive role starts it
//
// A server tells where it listens with its first line on stdout. Beside its real work it
// keeps a connection to the process that drives, on which it is asked how much processor
// time and memory it has used. It ends when that connection does, so that nothing is
// left behind. Nothing else goes over it: a subject that is not measured is quiet.
package peer
