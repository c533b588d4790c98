// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"errors"
	"slices"

	"github.com/hashicorp/go-plugin"
)

// anyVersion bounds the versions that a child is asked for when nobody has named any: it takes
// the highest that it has.
const anyVersion = 64

// asked is what a child is started for.
type asked struct {
	cookie   plugin.HandshakeConfig
	versions []int
}

func (a asked) equal(b asked) bool {
	return a.cookie == b.cookie && slices.Equal(a.versions, b.versions)
}

// askedBy is what a child for the host would be started for.
func (p *pool) askedBy(host *plugin.RelayHost) (asked, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := asked{p.cookie, p.opts.Versions}
	switch {
	case a.cookie != plugin.HandshakeConfig{}:
		if err := host.CheckCookie(a.cookie); err != nil {
			return a, err
		}
	case !host.Hello:
		return a, errors.New("the magic cookie of the plugin is not known yet, and a host that does not shake hands has none to show: name it with --cookie")
	case host.Cookie.MagicCookieKey == "":
		return a, &plugin.RefusedError{Code: plugin.RefusedCookie, Message: "the host sent no magic cookie, without which the plugin does not start"}
	default:
		if err := checkBrought(host.Cookie); err != nil {
			return a, err
		}
		a.cookie = host.Cookie
	}
	if len(a.versions) == 0 {
		a.versions = slices.Clone(host.Versions)
		slices.Sort(a.versions)
	}
	if len(a.versions) == 0 {
		a.versions = anyVersions()
	}
	return a, nil
}

func anyVersions() []int {
	versions := make([]int, anyVersion)
	for v := range versions {
		versions[v] = v
	}
	return versions
}
