// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-plugin"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/gen/evolve"
	"github.com/reattach/reattach/host/cli"
)

// maxVersion is the highest version that is asked for if nobody says which: a handshake
// lists 64 of them at most.
const maxVersion = 63

// settings say what the plugins are: flags, or else variables.
type settings struct {
	cookie, contract string
	versions         []int

	Variables struct {
		Cookie   string `envconfig:"REATTACH_COOKIE" desc:"magic cookie of the plugins, KEY=VALUE, as --cookie"`
		Contract string `envconfig:"REATTACH_CONTRACT" desc:"contract.json of the plugins, as --contract"`
		Versions []int  `envconfig:"REATTACH_VERSIONS" desc:"comma list of the versions to ask plugins for, as --versions"`
	}
}

func (s *settings) extend(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&s.cookie, "cookie", "", "magic cookie of the plugins, KEY=VALUE (default: REATTACH_COOKIE, or the contract's)")
	flags.StringVar(&s.contract, "contract", "", "contract.json of the plugins, which has cookie, version, and the names and types of parameters")
	flags.IntSliceVar(&s.versions, "versions", nil, "versions to ask plugins for (default: the contract's, or any up to 63)")
	root.AddCommand(genCommand(), newCommand(), manCommand(root))
}

// settle tells a command what the plugins are.
func (s *settings) settle(o *cli.Options) error {
	cookie, versions := cmp.Or(s.cookie, s.Variables.Cookie), s.versions
	if len(versions) == 0 {
		versions = s.Variables.Versions
	}
	if path := cmp.Or(s.contract, s.Variables.Contract); path != "" {
		record, err := evolve.Read(path)
		if err == nil && record == nil {
			err = fmt.Errorf("--contract %s: there is no such file", path)
		}
		if err != nil {
			return err
		}
		if o.Kinds, err = kindsOf(record); err != nil {
			return fmt.Errorf("--contract %s: %w", path, err)
		}
		cookie = cmp.Or(cookie, record.Handshake)
		if len(versions) == 0 {
			versions = []int{2*record.Version - 1, 2 * record.Version} // net/rpc, and gRPC
		}
	}
	if len(versions) == 0 {
		for v := range maxVersion + 1 {
			versions = append(versions, v)
		}
	}
	if len(versions) > maxVersion+1 || slices.Min(versions) < 0 {
		return fmt.Errorf("--versions: want at most %d, and none below zero", maxVersion+1)
	}
	// Without a cookie a plugin on the network says by what name it wants one.
	key, value, ok := strings.Cut(cmp.Or(cookie, "REATTACH_COOKIE=unset"), "=")
	if !ok || key == "" || value == "" {
		return fmt.Errorf("--cookie %q: want KEY=VALUE", cookie)
	}
	if cookie == "" {
		o.OtherCookie = "if it wants a cookie of its own, give that as --cookie KEY=VALUE, or its --contract contract.json"
	}
	o.Handshake = plugin.HandshakeConfig{ProtocolVersion: uint(slices.Max(versions)), MagicCookieKey: key, MagicCookieValue: value}
	o.Versions = func(set plugin.PluginSet) map[int]plugin.PluginSet {
		all := make(map[int]plugin.PluginSet, len(versions))
		for _, v := range versions {
			all[v] = set
		}
		return all
	}
	return nil
}
