// SPDX-License-Identifier: MPL-2.0

// Command bench measures what plugin calls cost, and holds the figures against the bounds
// of package bounds. Run it in the directory of its module:
//
//	go run ./cmd/bench                              everything, about 15 minutes
//	go run ./cmd/bench -quick                       what bounds speak of, about two minutes
//	go run ./cmd/bench -only netrpc -parts calls -for 20s
//
// It exits with 1 if something could not be measured, and with -quick also if a bound on
// something counted, such as calls left unanswered, was missed by more than half. A bound
// on time or memory fails nothing: how a run kept it says as much of the machine and of
// what else it did as of the code, so the report says it, for a reader to judge.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/reattach/reattach/test/bench/internal/bounds"
	"github.com/reattach/reattach/test/bench/internal/build"
	"github.com/reattach/reattach/test/bench/internal/plan"
	"github.com/reattach/reattach/test/bench/internal/report"
	"github.com/reattach/reattach/test/bench/internal/run"
)

func main() {
	var o plan.Options
	flag.BoolVar(&o.Quick, "quick", false, "measure what bounds speak of, and that seldom")
	flag.DurationVar(&o.For, "for", 0, "how long all calls may take together (default 6m, quick 25s)")
	only := flag.String("only", "", "comma list of parts of subjects' names: measure these alone")
	parts := flag.String("parts", "", "comma list of "+plan.PartNames()+": measure these alone")
	out := flag.String("out", "../../build/bench", "directory for the programs and the report")
	flag.Parse()
	o.Only, o.Parts = list(*only), list(*parts)
	if o.For == 0 {
		o.For = 8 * time.Minute
		if o.Quick {
			o.For = 25 * time.Second
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, o, *out, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func bench(ctx context.Context, o plan.Options, dir string, stdout, stderr io.Writer) error {
	sections, err := plan.Make(o)
	if err != nil {
		return err
	}
	programs := filepath.Join(dir, "programs")
	if err := build.Programs(".", programs, plan.Programs(sections)); err != nil {
		return err
	}
	data, failed := (&run.Run{Dir: programs, Log: stderr}).Measure(ctx, sections)
	if data == nil {
		return failed
	}
	results := bounds.Judge(data, bounds.Table())
	if err := report.Write(dir, stdout, report.ThisMachine(), data, sections, results); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("not everything could be measured: %w", failed)
	}
	if !o.Quick {
		return nil
	}
	return missed(results)
}

// missed names the bounds on something counted that were missed by more than half.
func missed(results []bounds.Result) error {
	var errs []error
	for _, r := range results {
		if r.Unit == bounds.Count && r.Verdict == bounds.Far {
			errs = append(errs, fmt.Errorf("%s: %v, which is far from %v", r.Text, r.Value(), r.Limit))
		}
	}
	return errors.Join(errs...)
}
