// SPDX-License-Identifier: MPL-2.0

package scaffold

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// foreign is the module of a contract that others keep.
type foreign struct {
	Module, Version string
	Dir             string // empty for one that the module proxy has
}

// otherContract finds a contract, and begins a module that uses it.
func (v *values) otherContract(ctx context.Context) error {
	dir := v.Contract
	if strings.Contains(v.Contract, "@") {
		var found struct{ Path, Version, Dir string }
		if err := goCommand(ctx, "", &found, "mod", "download", "-json", v.Contract); err != nil {
			return fmt.Errorf("%w: contract %s: %w", ErrOptions, v.Contract, err)
		}
		v.Foreign, dir = &foreign{Module: found.Path, Version: found.Version}, found.Dir
	}
	var module struct{ Path string }
	var pkg struct{ ImportPath, Name string }
	err := goCommand(ctx, dir, &module, "list", "-m", "-json")
	if err == nil {
		err = goCommand(ctx, dir, &pkg, "list", "-e", "-json=ImportPath,Name", ".")
	}
	if err != nil {
		return fmt.Errorf("%w: contract %s: %w", ErrOptions, v.Contract, err)
	}
	if v.Foreign == nil {
		absolute, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		v.Foreign = &foreign{module.Path, "v0.0.0", absolute}
	}
	if v.Foreign.Module == v.Module {
		return fmt.Errorf("%w: module %s is that of the contract: give this one another path", ErrOptions, v.Module)
	}
	v.Import, v.Pkg = pkg.ImportPath, pkg.Name
	if err := v.readContract(dir); err != nil {
		return err
	}
	return v.write("templates/common/go.mod.tmpl", "go.mod")
}

// goCommand runs the go command in a directory, and reads the JSON that it prints.
func goCommand(ctx context.Context, dir string, into any, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var failed strings.Builder
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, strings.TrimSpace(failed.String()))
	}
	return json.Unmarshal(out, into)
}
