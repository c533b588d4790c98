// SPDX-License-Identifier: MPL-2.0

//go:build linux && !race

package mux

func tellRace(int) {}
