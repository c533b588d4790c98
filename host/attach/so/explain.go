// SPDX-License-Identifier: MPL-2.0

package so

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// explain translates what plugin.Open says of a shared object that differs in possible
// from its host. Its words are not documented: what is not recognized is passed on.
func explain(opened error, possible []difference) error {
	text, err := opened.Error(), opened
	switch {
	case otherPackage.MatchString(text):
		err = fmt.Errorf("package %s is not the same in the host and in the shared object: "+
			"build both from the same source, as the same module, with the same flags", otherPackage.FindStringSubmatch(text)[1])
	case strings.HasSuffix(text, "plugin already loaded"):
		err = errors.New("the same package is loaded already from another file, and Go loads a package once; " +
			"if this is a newer build of it, restart the host")
	case strings.Contains(text, "failed to map segment") || strings.Contains(text, "cannot enable executable"):
		err = fmt.Errorf("the private copy of it may not be executed, as on a file system that is mounted noexec; "+
			"name another directory as TMPDIR: %w", opened)
	case strings.Contains(text, "dlopen") || strings.Contains(text, "cannot open shared object file"):
		err = fmt.Errorf("the dynamic linker refuses it: %w", opened)
	}
	if len(possible) > 0 {
		err = fmt.Errorf("%w; this may be why: %s", err, list(possible))
	}
	return err
}

// otherPackage finds the package in plugin.Open's error.
var otherPackage = regexp.MustCompile(`plugin was built with a different version of package (\S+)`)
