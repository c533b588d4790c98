// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/doctor"
)

// seenIn reports whether a hop was seen from somewhere.
func seenIn(r *doctor.Report, hop string) bool {
	return slices.ContainsFunc(r.Steps, func(s doctor.Step) bool { return s.Hop == hop && s.Outcome != doctor.NotSeen })
}

// reportOn is the report on a target, which is new if there is none.
func (d *doctorRun) reportOn(target string) *doctor.Report {
	for _, r := range d.reports {
		if r.Target == target {
			return r
		}
	}
	r := &doctor.Report{Target: target, OK: true, Steps: []doctor.Step{}}
	d.reports = append(d.reports, r)
	return r
}

// doctorReports is what is printed as JSON.
type doctorReports struct {
	OK   bool             `json:"ok"`
	Ways []*doctor.Report `json:"ways"`
}

func (d *doctorRun) print() error {
	if d.printed != nil {
		return d.printed
	}
	all := doctorReports{OK: true, Ways: d.reports}
	for _, r := range d.reports {
		all.OK = all.OK && r.OK
	}
	if d.output == "json" {
		raw, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(d.out, "%s\n", printable.JSON(raw))
		return err
	}
	var away []string
	for _, r := range d.reports {
		if !d.verbose {
			if err := printReport(d.out, r); err != nil {
				return err
			}
		}
		if len(r.Unseen) > 0 {
			away = append(away, fmt.Sprintf("%s: not seen from here: %s", r.Target, strings.Join(r.Unseen, ", ")))
		}
	}
	for _, line := range away {
		fmt.Fprintf(d.stderr, "%s\n", printable.Cell(line, maxColumns))
	}
	if len(away) > 0 && !d.inCluster && d.pre == "" {
		fmt.Fprintf(d.stderr, "%s doctor --in-cluster sees more: it walks from a pod like the host's; -v says why each hop is not seen\n",
			cmp.Or(d.config.program.called, d.config.program.Name))
	}
	return nil
}

// printReport writes what is wrong: nothing where all is well.
func printReport(w io.Writer, r *doctor.Report) error {
	for _, f := range append(slices.Clip(r.Warnings), r.Finding) {
		if f == nil {
			continue
		}
		level := ""
		if f.Warning {
			level = "warning: "
		}
		where := r.Target
		if f.Subject != "" && f.Subject != r.Target {
			where += ", " + f.Subject
		}
		if _, err := fmt.Fprintf(w, "%s\n%s%s %s: %s\n%s", printable.Cell(where, maxColumns), level, f.Code, f.Hop, oneLine(f.Seen), adviceOn(f)); err != nil {
			return err
		}
	}
	if r.MoreWarnings > 0 {
		_, err := fmt.Fprintf(w, "%s\n%d more warnings are left out: mend those above, and ask again\n", printable.Cell(r.Target, maxColumns), r.MoreWarnings)
		return err
	}
	return nil
}
