// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/go-plugin/printable"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/doctor"
)

// doctorFlags are those of the command doctor.
type doctorFlags struct {
	namespace, host, pre, output, serverName, call string
	all, inCluster, verbose                        bool
}

func (o Options) doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor [PLUGIN | service/NAME | ADDR]",
		Short: "Find out what is wrong on the way to a plugin, and what to do about it",
		Long: `Walks the way to a plugin, and names the first hop that fails: by a code, with what was seen, what to do, and a page
of the documentation. Where all is well it prints nothing.

In a cluster the hops are the host's rights, the Service, its label and ports, its pods, EndpointSlices and
NetworkPolicies; then those of probe, to each endpoint. What cannot be seen from here, such as the addresses of pods from
outside of the cluster, is said; --in-cluster walks in a pod like the host's, with its service account. PLUGIN is a name
that the environment knows. Without a target, and with --all, all plugins are looked at: those of PLUGIN_DIR are started
for it.

--pre looks at manifests before they are applied: a directory, a file, or - for standard input, such as
"kubectl kustomize DIR | ` + cmp.Or(o.called, o.Name) + ` doctor --pre -".

` + exitCodes,
		Example: strings.ReplaceAll(`  NAME doctor service/pluginzh -n plugins --in-cluster
  NAME doctor pluginzh.plugins:7000 --call 'greeter.Greet "Ada"'
  NAME doctor --pre manifests/`, "NAME", cmp.Or(o.called, o.Name)),
		Args: counted(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.newDoctor(cmd, f, args)
			if err != nil {
				return err
			}
			return d.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace of the Service (default: that of the kubeconfig's context, or the pod's)")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print the hops that are well, too")
	flags.BoolVar(&f.all, "all", false, "look at all plugins")
	flags.BoolVar(&f.inCluster, "in-cluster", false, "walk in a Job of the cluster, whose pod is like the host's")
	flags.StringVar(&f.host, "host", "", "Deployment of the host in the cluster, [NAMESPACE/]NAME (default: "+o.Name+", or the only one that looks for plugins)")
	flags.StringVar(&f.pre, "pre", "", "directory or file of manifests to look at before they are applied, or - for standard input")
	flags.StringVar(&f.serverName, "server-name", "", "name that the plugin's certificate must carry (default: the plugin's)")
	flags.StringVar(&f.call, "call", "", "KIND.METHOD and its arguments in JSON: one call to make at each endpoint")
	return cmd
}

// doctorRun is one run of the command.
type doctorRun struct {
	doctorFlags
	target  string
	config  config
	options daemon.Options
	in      io.Reader
	out     io.Writer
	stderr  io.Writer
	reports []*doctor.Report
	printed error
}

func (o Options) newDoctor(cmd *cobra.Command, f doctorFlags, args []string) (*doctorRun, error) {
	d := &doctorRun{doctorFlags: f, in: cmd.InOrStdin(), out: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr()}
	if len(args) > 0 {
		d.target = args[0]
	}
	method, _, _ := strings.Cut(f.call, " ")
	_, _, isCall := cutMethod(method)
	switch {
	case f.output != "text" && f.output != "json":
		return nil, failf(exitUsage, "-o %s: want text or json", f.output)
	case f.all && d.target != "":
		return nil, failf(exitUsage, "--all is about all plugins, and %q is one: leave one of them out", d.target)
	case f.pre != "" && f.inCluster:
		return nil, failf(exitUsage, "--pre is about manifests that are in no cluster yet: leave --in-cluster out")
	case f.call != "" && !isCall:
		return nil, failf(exitUsage, "--call %q: want KIND.METHOD and arguments, such as 'greeter.Greet \"Ada\"'", f.call)
	}
	var err error
	if d.config, err = o.readConfig(); err != nil {
		return nil, err
	}
	d.options, err = d.config.daemonOptions(cmd.ErrOrStderr())
	return d, err
}

// run walks all ways that were asked for, and reports.
func (d *doctorRun) run(ctx context.Context) error {
	ways, err := d.ways(ctx)
	if err != nil {
		return err
	}
	for _, w := range ways {
		if err := d.walk(ctx, w); err != nil {
			return err
		}
	}
	goesOn := func(r *doctor.Report) bool { return r.OK }
	if d.inCluster && (len(d.reports) == 0 || slices.ContainsFunc(d.reports, goesOn)) {
		if err := d.inside(ctx); err != nil {
			return err
		}
	}
	if err := d.print(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	code := exitOK
	for _, r := range d.reports {
		if r.Finding != nil {
			code = max(code, codeOfFinding(r.Finding))
		}
	}
	if code != exitOK {
		return &failure{code: code} // said already
	}
	return nil
}

// codeOfFinding is the exit code that a finding leads to. That a plugin answered with an
// error is something else than that it was not reached.
func codeOfFinding(f *doctor.Finding) int {
	if f.Code == doctor.CallFailed {
		return exitFailed
	}
	return exitUnreachable
}

// maxSick is how many endpoints of a plugin may fail before no more of them are walked to.
const maxSick = 3

// walk walks one way, and then to its addresses.
func (d *doctorRun) walk(ctx context.Context, w doctor.Way) error {
	r := &doctor.Report{Target: w.Target, Plugin: w.Plugin, OK: true, Steps: []doctor.Step{}}
	d.reports = append(d.reports, r)
	tell := func(s doctor.Step) { d.step(r, s) }
	found, err := doctor.Walk(ctx, w.Target, d.config.AttachTimeout, w.Hops, tell)
	if err != nil || found != nil || w.Endpoints == nil {
		return err
	}
	endpoints := w.Endpoints()
	switch {
	case w.Away != "" && len(endpoints) > 0 && !d.inCluster:
		for _, hop := range doctor.AddressHops() {
			tell(doctor.Step{Hop: hop, Outcome: doctor.NotSeen, Subject: w.Target, Seen: w.Away})
		}
		return nil
	case w.Away != "":
		return nil // a pod goes on
	}
	for sick := 0; len(endpoints) > 0 && sick < maxSick; endpoints = endpoints[1:] {
		e := endpoints[0]
		to, err := d.config.wayTo(e.Address, w.Plugin, cmp.Or(d.serverName, e.ServerName, nameFor(w.Plugin, e.Address)), d.options)
		if err != nil {
			return err
		}
		if d.call != "" {
			to.Then = append(to.Then, d.config.callHop(to, d.call, d.stderr))
		}
		found, err := to.Walk(ctx, tell)
		if err != nil {
			return err
		}
		if found != nil {
			sick++
		}
	}
	return nil
}

// nameFor is what a plugin's certificate must carry: its name, or its host where it has
// none but its address.
func nameFor(plugin, address string) string {
	if plugin == address {
		return nameOf(address)
	}
	return cmp.Or(plugin, nameOf(address))
}

// step notes a step, and prints it if every one is asked for.
func (d *doctorRun) step(r *doctor.Report, s doctor.Step) {
	r.Add(s)
	if d.verbose && d.output == "text" && d.printed == nil {
		if len(r.Steps) == 1 {
			_, d.printed = fmt.Fprintf(d.out, "%s\n", printable.Cell(r.Target, maxColumns))
		}
		d.printed = errors.Join(d.printed, printStep(d.out, s))
	}
}

// inside has the same walked in the cluster, and adds what came of that.
func (d *doctorRun) inside(ctx context.Context) error {
	e, err := d.examiner()
	if err != nil {
		return err
	}
	args := []string{"doctor", "-o", "json"}
	for flag, value := range map[string]string{"--namespace": d.namespace, "--server-name": d.serverName, "--call": d.call} {
		if value != "" {
			args = append(args, flag+"="+value)
		}
	}
	if d.target != "" {
		args = append(args, "--", d.target)
	}
	raw, err := e.Inside(ctx, d.question(), args)
	if found, ok := errors.AsType[*doctor.Finding](err); ok {
		r := d.reportOn("the doctor's pod")
		d.step(r, doctor.Step{Hop: found.Hop, Outcome: doctor.Failed, Subject: found.Subject, Seen: found.Seen, Finding: found})
		return nil
	}
	if errors.Is(err, doctor.ErrArguments) {
		return &failure{exitUsage, err}
	}
	if err != nil {
		return &failure{exitUnreachable, err}
	}
	var told doctorReports
	begins := slices.Index(raw, '{')
	if begins < 0 || json.Unmarshal(raw[begins:], &told) != nil || slices.Contains(told.Ways, nil) {
		return failf(exitUnreachable, "the doctor's pod did not report: %s", oneLine(string(raw)))
	}
	for _, inner := range told.Ways {
		r := d.reportOn(inner.Target)
		r.Plugin = inner.Plugin
		for _, s := range inner.Steps {
			d.step(r, s)
		}
		r.MoreWarnings += inner.MoreWarnings
		r.Unseen = slices.DeleteFunc(r.Unseen, func(hop string) bool { return seenIn(r, hop) })
	}
	return nil
}
