// SPDX-License-Identifier: MPL-2.0

package so

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/reattach/reattach/host/conn"
)

// copied is a private copy of a shared object. What is checked is what is
// loaded; and a file that is loaded must not be written to, which nobody who
// copies a new one over it knows: the host would crash.
type copied struct {
	path, digest string
	dir, copy    string
}

// take copies the file. The caller removes the copy, once it is loaded or not.
func take(path, tempDir string) (file *copied, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, conn.Permanent(fmt.Errorf("it is not a shared object: it is no regular file (%s)", info.Mode()))
	}
	dir, err := os.MkdirTemp(tempDir, "shared-object-")
	if err != nil {
		return nil, fmt.Errorf("make a private copy: %w", err)
	}
	file = &copied{path: path, dir: dir, copy: filepath.Join(dir, filepath.Base(path))}
	if file.digest, err = copyTo(file.copy, in); err != nil {
		file.remove()
		return nil, fmt.Errorf("make a private copy: %w", err)
	}
	return file, nil
}

// copyTo returns the digest of what it copied.
func copyTo(path string, in io.Reader) (digest string, err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o500)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, sum), in)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return digestPrefix + hex.EncodeToString(sum.Sum(nil)), err
}

func (c *copied) remove() { _ = os.RemoveAll(c.dir) }

const digestPrefix = "sha256:"

// isDigest reports whether a fingerprint is a file's.
func isDigest(fingerprint string) bool { return strings.HasPrefix(fingerprint, digestPrefix) }
