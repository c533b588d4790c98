// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"crypto/subtle"
	"fmt"
	"hash"
	"io"
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
	if len(s.Checksum) == 0 {
		return false, ErrSecureConfigNoChecksum
	}
	if s.Hash == nil {
		return false, ErrSecureConfigNoHash
	}
	file, err := os.Open(filePath)
	if err != nil {
		return false, err
	}
	defer file.Close()
	s.Hash.Reset()
	if _, err := io.Copy(s.Hash, file); err != nil {
		return false, fmt.Errorf("read %s: %w", filePath, err)
	}
	return subtle.ConstantTimeCompare(s.Hash.Sum(nil), s.Checksum) == 1, nil
}
