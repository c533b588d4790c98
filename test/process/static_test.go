// SPDX-License-Identifier: MPL-2.0

package process

import (
	"debug/elf"
	"path/filepath"
	"testing"
)

// TestBinariesAreStatic holds what images from scratch rely on: no dynamic linker.
func TestBinariesAreStatic(t *testing.T) {
	for _, name := range []string{"basic", "greeter-en.po", "greeter-zh.po"} {
		file, err := elf.Open(filepath.Join(bin, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range file.Progs {
			if part.Type == elf.PT_INTERP {
				t.Errorf("%s wants a dynamic linker", name)
			}
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
}
