// SPDX-License-Identifier: MPL-2.0

// Command adoption reads what go test -json prints of the tests of adoption, shows it as
// go test -v does, and ends with a table of what was promised: for each row how many cases
// passed, failed and were skipped, and the sums of what they counted (testing.T.Attr).
//
//	adoption < JSON
//
// It exits with 1 when anything failed, or a row has no case at all.
package main

import (
	"fmt"
	"os"
)

func main() {
	rows := promised()
	failed, err := read(os.Stdin, os.Stdout, rows)
	if err != nil {
		fmt.Fprintln(os.Stderr, "adoption:", err)
		os.Exit(1)
	}
	if !table(os.Stdout, rows) || failed {
		os.Exit(1)
	}
}
