// SPDX-License-Identifier: MPL-2.0

// Package build builds the programs that are measured.
package build

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/reattach/reattach/test/bench/internal/plan"
)

// step is one run of go build: a program, or something that it loads.
type step struct {
	program, output, dir, from string
	flags, env                 []string
}

func steps() []step {
	static, cgo := []string{"CGO_ENABLED=0"}, []string{"CGO_ENABLED=1"}
	all := []step{
		{plan.Ours, plan.Ours, "ours", "./driver", nil, static},
		{plan.Basic, plan.Basic, "../..", "./host", nil, static},
		{plan.Shared, plan.Shared, "ours", "./sodriver", nil, cgo},
		{plan.Shared, "objects/greeter.so", "ours", "./so", []string{"-buildmode=plugin"}, cgo},
		{plan.Wasm, "guest.wasm", ".", "./peers/wasm/guest", []string{"-buildmode=c-shared"}, []string{"GOOS=wasip1", "GOARCH=wasm"}},
	}
	for _, peer := range []string{plan.Floor, plan.NetRPC, plan.GRPC, plan.TTRPC, plan.Wasm, plan.Upstream} {
		all = append(all, step{peer, peer, ".", "./peers/" + peer, nil, static})
	}
	return all
}

// Programs builds programs into a directory. root is the directory of this module.
func Programs(root, into string, programs []string) error {
	into, err := filepath.Abs(into)
	if err != nil {
		return err
	}
	for _, s := range steps() {
		if !slices.Contains(programs, s.program) {
			continue
		}
		args := append(append([]string{"build", "-trimpath"}, s.flags...), "-o", filepath.Join(into, s.output), s.from)
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = filepath.Join(root, s.dir), append(os.Environ(), s.env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", s.output, err, out)
		}
	}
	return nil
}
