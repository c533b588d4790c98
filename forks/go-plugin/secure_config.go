// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bytes"
	"fmt"
	"hash"
	"os"
)

// SecureConfig verifies an executable before it is started. The checksum must
// come from somewhere that the executable's author controls and an attacker
// does not, and nobody untrusted may be able to replace the file between the
// check and the start.
type SecureConfig struct {
	// Checksum is the expected sum of the file.
	Checksum []byte
	// Hash computes it. Check resets it first.
	Hash hash.Hash
}

// Check reports whether the file has the expected checksum.
func (s *SecureConfig) Check(filePath string) (bool, error) {
	switch {
	case len(s.Checksum) == 0:
		return false, ErrSecureConfigNoChecksum
	case s.Hash == nil:
		return false, ErrSecureConfigNoHash
	}
	sum, err := sumFile(s.Hash, filePath)
	return err == nil && bytes.Equal(sum, s.Checksum), err
}

func sumFile(h hash.Hash, path string) ([]byte, error) {
	h.Reset()
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.WriteTo(h); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return h.Sum(nil), nil
}

// verify returns why an executable must not be started.
func (s *SecureConfig) verify(path string) error {
	if s == nil {
		return nil
	}
	ok, err := s.Check(path)
	if err != nil {
		return fmt.Errorf("error verifying checksum: %w", err)
	}
	if !ok {
		return ErrChecksumsDoNotMatch
	}
	return nil
}
