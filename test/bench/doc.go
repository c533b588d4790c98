// SPDX-License-Identifier: MPL-2.0

// Package bench measures what a plugin call costs in each placement, and against what a
// user would pick instead. `make bench` in the repository's root runs it for a quarter of
// an hour, `make bench-quick` for two minutes; docs/performance.md says how to read the
// result.
//
// What is measured are programs, because the original library and the fork have one
// module path and cannot be in one program:
//
//	peers/     floors, and everything that is not ours; each links one library only
//	ours/      a module of its own, in which the fork takes the place of the original
//
// Each program is the host of its subjects, and the server as well, in other processes
// (package peer). cmd/bench builds them and has them measure in turns, a short slice
// each, round by round (packages plan, run and wire). What is promised are ratios of two
// subjects in the same round, the median over the rounds (packages series and bounds);
// times are shown and not promised (package report).
//
//	go run ./cmd/bench -only netrpc -parts calls -for 20s
//
// measures some of it.
package bench
