// SPDX-License-Identifier: MPL-2.0

package doctor

import (
	"slices"

	"github.com/reattach/reattach/host/target"
)

// Question is what a way is asked for.
type Question struct {
	// Service is the name of one. Empty asks for all plugins.
	Service string
	// Namespace is that of the Service, or of all plugins. Empty is the one that the
	// environment means.
	Namespace string
	// Host names the Deployment of the host as [NAMESPACE/]NAME. Empty is Program, where
	// there is a Deployment of that name.
	Host string
	// Program is the name of the host's program.
	Program string
}

// Way leads to one plugin, up to the addresses of its instances.
type Way struct {
	// Target is what people call it, such as service/pluginzh -n plugins.
	Target string
	// Plugin is the host's name for the plugin.
	Plugin string
	// Hops are those before the addresses.
	Hops []Hop
	// Endpoints gives the instances that may have calls, once the hops are behind. Nil
	// means that the way has no addresses.
	Endpoints func() []target.Endpoint
	// Away says why the addresses cannot be reached from here. Empty: they can.
	Away string
}

// Report is what came of one way.
type Report struct {
	Target string `json:"target"`
	Plugin string `json:"plugin,omitempty"`
	// OK is set if no hop has failed.
	OK bool `json:"ok"`
	// Finding is that of the first hop that failed.
	Finding *Finding `json:"finding,omitempty"`
	// Warnings are findings with which calls work all the same.
	// Those of a way are many where each of a hundred pods has the same.
	Warnings []*Finding `json:"warnings,omitempty"`
	// MoreWarnings counts those beyond maxWarnings, which are left out, as are their steps.
	MoreWarnings int `json:"moreWarnings,omitempty"`
	// Unseen are the hops that could not be seen from here.
	Unseen []string `json:"unseen,omitempty"`
	// Steps are the hops that were taken, in order. Of those of one name that were well,
	// as of a hundred endpoints, it has the first.
	Steps []Step `json:"steps"`
}

// maxWarnings is how many warnings a report has.
const maxWarnings = 20

// Add notes a step.
func (r *Report) Add(s Step) {
	if s.Outcome == Warning && len(r.Warnings) >= maxWarnings {
		r.MoreWarnings++
		return
	}
	same := func(o Step) bool { return o.Hop == s.Hop && o.Outcome == OK }
	if s.Outcome == OK && slices.ContainsFunc(r.Steps, same) {
		return
	}
	r.Steps = append(r.Steps, s)
	switch {
	case s.Outcome == NotSeen && !slices.Contains(r.Unseen, s.Hop):
		r.Unseen = append(r.Unseen, s.Hop)
	case s.Outcome == Warning:
		r.Warnings = append(r.Warnings, s.Finding)
	case s.Outcome == Failed && r.Finding == nil:
		r.Finding = s.Finding
	}
	r.OK = r.Finding == nil
}
