// SPDX-License-Identifier: MPL-2.0

package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/tlsfile"
)

// A certificate of which less than a tenth of its time is left is to be renewed, if that
// is less than two weeks. Those that live for hours are renewed late.
const (
	renewalPart = 10
	renewalTime = 14 * 24 * time.Hour
)

// isRefused reports whether nothing listens at an address.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// tlsConfig gives nil where plain TCP is spoken.
func (v *visit) tlsConfig() (*tls.Config, error) {
	if v.TLS.IsZero() {
		return nil, nil
	}
	return tlsfile.Client(v.TLS, v.ServerName, v.Logger)
}

// secure shakes hands over TLS, and lets the connection go.
func (v *visit) secure(ctx context.Context) (string, error) {
	config, err := v.tlsConfig()
	if err != nil {
		return "", Find(HostTLSFiles, "%v", err)
	}
	if config == nil {
		return "none: plain TCP, as HOST_TLS_CA_FILE is not set or the plugin is exempt", nil
	}
	c, err := (&tls.Dialer{Config: config}).DialContext(ctx, v.to.Network(), v.to.String())
	if err != nil {
		return "", v.tlsFinding(ctx, err)
	}
	defer c.Close()
	state := c.(*tls.Conn).ConnectionState()
	shown := state.PeerCertificates[0]
	seen := fmt.Sprintf("%s, certificate of %s, valid until %s", tls.VersionName(state.Version), names(shown), date(shown.NotAfter))
	left := time.Until(shown.NotAfter)
	if left < renewalTime && left < shown.NotAfter.Sub(shown.NotBefore)/renewalPart {
		return "", Warn(ExpiresSoon, "%s", seen)
	}
	return seen, nil
}

// tlsFinding tells from an error what is wrong with TLS.
func (v *visit) tlsFinding(ctx context.Context, err error) *Finding {
	var shown *x509.Certificate
	if unverified, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(unverified.UnverifiedCertificates) > 0 {
		shown = unverified.UnverifiedCertificates[0]
	}
	now := time.Now()
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isOther := errors.AsType[x509.HostnameError](err)
	_, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, isPlain := errors.AsType[tls.RecordHeaderError](err)
	alert, isAlert := errors.AsType[*net.OpError](err)
	isAlert = isAlert && alert.Op == "remote error" // crypto/tls has no exported type for an alert
	switch {
	case isInvalid && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		return Find(CertificateTooNew, "%s is valid from %s, and it is %s here", certificateOf(invalid.Cert), date(invalid.Cert.NotBefore), date(now))
	case isInvalid && invalid.Reason == x509.Expired:
		return Find(CertificateExpired, "%s was valid until %s, and it is %s here", certificateOf(invalid.Cert), date(invalid.Cert.NotAfter), date(now))
	case isOther && shown != nil:
		return Find(OtherName, "%s is not for %q", certificateOf(shown), v.ServerName)
	case isUnknown && shown != nil:
		return Find(UnknownAuthority, "%s was signed by %q, which %s does not vouch for", certificateOf(shown), shown.Issuer.String(), v.authorities())
	case isPlain, isAlert && strings.Contains(alert.Err.Error(), "handshake failure"): // the alert of a plugin of this library
		return Find(PluginWithoutTLS, "%v", err)
	case isAlert:
		return Find(HostTurnedDown, "the plugin ends the TLS handshake: %v", alert.Err)
	case ctx.Err() != nil:
		return Find(TLSBroken, "nothing came back within %s", v.Timeout)
	}
	return Find(TLSBroken, "%v", err)
}

// authorities says who vouches for plugins.
func (v *visit) authorities() string {
	if v.TLS.CA == "" {
		return "this system"
	}
	return fmt.Sprintf("%s (%s)", v.TLS.CAName, v.TLS.CA)
}

func certificateOf(c *x509.Certificate) string { return "the certificate of " + names(c) }

// names are those that a certificate is for.
func names(c *x509.Certificate) string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	for _, uri := range c.URIs {
		all = append(all, uri.String())
	}
	if len(all) == 0 {
		return c.Subject.String()
	}
	return strings.Join(all, ", ")
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
