// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/visit"
)

// printReports writes the reports in their order. The same reports always give
// the same text.
func printReports(w io.Writer, reports []visit.Report) error {
	var text bytes.Buffer
	for _, r := range reports {
		printReport(&text, r)
	}
	_, err := w.Write(text.Bytes())
	return err
}

func printReport(w *bytes.Buffer, r visit.Report) {
	if r.Err != nil {
		fmt.Fprintf(w, "%s  %s\n  error: %s\n", r.Name, r.Placement, oneLine(r.Err))
		return
	}
	fmt.Fprintf(w, "%s  %s  %s v%d\n", r.Name, r.Placement, r.Protocol, r.Version)
	for _, k := range r.Kinds {
		switch {
		case !k.Served:
			fmt.Fprintf(w, "  %s: not served\n", k.Name)
		case k.Err != nil:
			fmt.Fprintf(w, "  %s: error: %s\n", k.Name, oneLine(k.Err))
		}
		for _, a := range k.Answers {
			fmt.Fprintf(w, "  %s: %s\n", a.Method, answer(a))
		}
	}
}

func answer(a visit.Answer) string {
	if a.Err != nil {
		return oneLine(a.Err)
	}
	return printable.Cell(a.Text, maxColumns)
}

// maxColumns is how much of a text a line holds that has a few words before it.
const maxColumns = 240

// oneLine joins the lines of errors that explain themselves at length.
func oneLine(err error) string {
	return printable.Cell(strings.Join(strings.Fields(printable.Clip(err.Error(), 4*maxColumns)), " "), maxColumns)
}
