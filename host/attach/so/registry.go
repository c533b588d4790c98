// SPDX-License-Identifier: MPL-2.0

package so

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
)

// loaded is what this process has loaded. It is one for all dialers, as the
// list that Go's runtime keeps is one for the process: nothing ever leaves it.
var loaded = registry{
	byPath:   make(map[string]*object),
	byDigest: make(map[string]error),
}

// object is a shared object that is part of this process.
type object struct {
	path   string
	digest string // "sha256:…"
	info   *buildinfo.BuildInfo
	config *plugin.ServeConfig
}

type registry struct {
	mu     sync.Mutex // one load at a time
	byPath map[string]*object
	// byDigest holds the errors of what could not be loaded. To try again would
	// cost memory that is never freed.
	byDigest map[string]error
}

// object returns what was loaded from path, and loads it first where needed.
func (r *registry) object(tempDir, path, fingerprint string) (*object, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.byPath[path]; known != nil {
		return known, known.stillIs(fingerprint)
	}
	file, err := take(path, tempDir)
	if err != nil {
		return nil, err
	}
	defer file.remove()
	if isDigest(fingerprint) && file.digest != fingerprint {
		return nil, conn.Permanent(fmt.Errorf("the file has changed since it was found: it is %s now, it was %s", file.digest, fingerprint))
	}
	if err := r.byDigest[file.digest]; err != nil {
		return nil, err
	}
	obj, err := r.load(file)
	if err != nil {
		err = conn.Permanent(err)
		r.byDigest[file.digest] = err
		return nil, err
	}
	r.byPath[path] = obj
	return obj, nil
}

func (r *registry) load(file *copied) (*object, error) {
	info, err := inspect(file.copy)
	if err != nil {
		return nil, err
	}
	host, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, errors.New("this host does not know what it was built from: build it with Go modules")
	}
	certain, possible := differences(host, info)
	if len(certain) > 0 {
		return nil, fmt.Errorf("host and shared object were not built alike, which Go requires: %s; "+
			"build both from the same source with the same Go and the same flags", list(certain))
	}
	for _, other := range r.byPath {
		if other.info.Path == info.Path && info.Path != unnamedPackage {
			return nil, fmt.Errorf("package %s is loaded already, from %s, and Go loads a package once; "+
				"if this is a newer build of it, restart the host", info.Path, other.path)
		}
	}
	config, err := open(file.copy, possible)
	if err != nil {
		return nil, err
	}
	return &object{path: file.path, digest: file.digest, info: info, config: config}, nil
}

// unnamedPackage is the path of a package that was built from a list of files.
const unnamedPackage = "command-line-arguments"

// instance names this object in this process.
func (o *object) instance() string {
	const short = len(digestPrefix) + 12
	return fmt.Sprintf("pid %d %s", os.Getpid(), o.digest[:short])
}

// stillIs refuses to take what was loaded for another content of the file.
func (o *object) stillIs(fingerprint string) error {
	if isDigest(fingerprint) && fingerprint != o.digest {
		return conn.Permanent(fmt.Errorf("the file has changed since it was loaded, and Go cannot unload the old one: " +
			"restart the host to use the new one"))
	}
	return nil
}
