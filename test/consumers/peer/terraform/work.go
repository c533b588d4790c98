// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// work notes in the file NOTES_JOURNAL what this process begins to do, as a line
// "WHAT PID OF", and takes as long for it as NOTES_TAKE says. Without these, it does
// nothing.
func work(ctx context.Context, what, of string) {
	if path := os.Getenv("NOTES_JOURNAL"); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintf(f, "%s %d %s\n", what, os.Getpid(), of)
			_ = f.Close()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "journal:", err)
		}
	}
	takes, err := time.ParseDuration(os.Getenv("NOTES_TAKE"))
	if err != nil {
		return
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
}
