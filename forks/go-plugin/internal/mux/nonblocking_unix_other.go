// SPDX-License-Identifier: MPL-2.0

//go:build unix && !linux

package mux

// several has nothing: elsewhere what is written at once is copied together.
type several struct{}

func (*socketWriter) prepareSeveral() {}
