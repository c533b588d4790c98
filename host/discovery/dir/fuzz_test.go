// SPDX-License-Identifier: MPL-2.0

package dir

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/host/target"
)

// FuzzNames is a directory with two files of any names. What is no plugin's name is a
// problem, and never an endpoint.
func FuzzNames(f *testing.F) {
	for _, pair := range [][2]string{{"zh.po", "zh.so"}, {".po", "a b.po"}, {"x\x1b.so", "\u202e.po"}, {"a=b.po", "a.b.po"}, {"zh.po", "zh.po"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		v := newInventory(Options{Dir: "/plugins", Executables: "*.po", SharedObjects: "*.so", Rescan: time.Minute, Settle: time.Second})
		for _, name := range []string{one, two} {
			if name == "" || strings.ContainsAny(name, "/\x00") || v.opts.placement(name) == 0 {
				return // no file has the name, or it is not looked at
			}
			path := filepath.Join(v.opts.Dir, name)
			v.files[name] = &file{endpoint: &target.Endpoint{
				ID: target.MakeID(pluginName(name), path), Plugin: pluginName(name), Placement: v.opts.placement(name), Address: path,
			}}
		}
		group := v.group(time.Now())
		if err := group.Validate(); err != nil {
			t.Fatal(err)
		}
		if len(group.Endpoints)+len(group.Problems) != len(v.files) {
			t.Fatalf("%d files became %+v", len(v.files), group)
		}
	})
}
