// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// signerName is that of the overlay pod-certificates and of the chart.
const signerName = "example.org/reattach"

// signer signs what the kubelet asks for on behalf of pods, for the name of their service
// account, as no program of Kubernetes does.
type signer struct {
	key    *ecdsa.PrivateKey
	ca     *x509.Certificate
	signed atomic.Int64
}

// podCertificateRequest is as much of it as matters here.
type podCertificateRequest struct {
	Metadata struct{ Name string }
	Spec     struct {
		SignerName, PodName, ServiceAccountName string
		MaxExpirationSeconds                    int64
		StubPKCS10Request                       []byte
	}
	Status struct{ Conditions []any }
}

// unsigned says why the cluster has no pod certificates, or nothing if it has them.
func unsigned(t *testing.T) string {
	t.Helper()
	served, err := try(t.Context(), "", "get", "--raw", "/apis/certificates.k8s.io/v1")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(served, `"podcertificaterequests"`) {
		return "this cluster has no pod certificates, which are in v1 from Kubernetes 1.37 on"
	}
	return ""
}

// sign begins to sign in a namespace, and publishes who does, until the test ends.
func sign(t *testing.T, namespace string) *signer {
	t.Helper()
	s := &signer{}
	var err error
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	s.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: signerName}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	root, err := x509.CreateCertificate(rand.Reader, s.ca, s.ca, s.key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := json.Marshal(map[string]any{
		"apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle",
		"metadata": map[string]any{"name": strings.ReplaceAll(signerName, "/", ":") + ":ca"},
		"spec":     map[string]any{"signerName": signerName, "trustBundle": pemOf(root)},
	})
	if err != nil {
		t.Fatal(err)
	}
	apply(t, string(bundle))
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.run(ctx, namespace); err != nil && ctx.Err() == nil {
			t.Errorf("the signer: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
		_, _ = try(context.Background(), string(bundle), "delete", "-f", "-")
	})
	return s
}

// run answers all requests of a namespace.
func (s *signer) run(ctx context.Context, namespace string) error {
	watch := exec.CommandContext(ctx, "kubectl", "get", "podcertificaterequests", "-n", namespace, "--watch", "-o", "json")
	out, err := watch.StdoutPipe()
	if err != nil {
		return err
	}
	if err := watch.Start(); err != nil {
		return err
	}
	defer func() { _ = watch.Wait() }()
	for d := json.NewDecoder(out); ; {
		var r podCertificateRequest
		if err := d.Decode(&r); err != nil {
			if err == io.EOF {
				return fmt.Errorf("the watch has ended")
			}
			return err
		}
		if r.Spec.SignerName != signerName || len(r.Status.Conditions) > 0 {
			continue
		}
		if err := s.answer(ctx, namespace, r); err != nil {
			return fmt.Errorf("sign for pod %s: %w", r.Spec.PodName, err)
		}
		s.signed.Add(1)
	}
}

// answer signs one request. The API server wants a certificate that begins about now and
// lives for an hour at least, and all of the status at once.
func (s *signer) answer(ctx context.Context, namespace string, r podCertificateRequest) error {
	request, err := x509.ParseCertificateRequest(r.Spec.StubPKCS10Request)
	if err != nil {
		return err
	}
	from := time.Now().Add(-time.Minute).Truncate(time.Second).UTC()
	to := from.Add(time.Duration(r.Spec.MaxExpirationSeconds) * time.Second)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: r.Spec.ServiceAccountName},
		DNSNames: []string{r.Spec.ServiceAccountName}, NotBefore: from, NotAfter: to, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	chain, err := x509.CreateCertificate(rand.Reader, leaf, s.ca, request.PublicKey, s.key)
	if err != nil {
		return err
	}
	status, err := json.Marshal(map[string]any{"status": map[string]any{
		"certificateChain": pemOf(chain), "notBefore": from, "notAfter": to, "beginRefreshAt": from.Add(to.Sub(from) / 2),
		"conditions": []any{map[string]any{
			"type": "Issued", "status": "True", "reason": "Signed", "message": "", "lastTransitionTime": time.Now().UTC().Truncate(time.Second),
		}},
	}})
	if err != nil {
		return err
	}
	_, err = try(ctx, "", "patch", "podcertificaterequest", r.Metadata.Name, "-n", namespace, "--subresource=status", "--type=merge", "-p", string(status))
	return err
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestPodCertificates attaches by certificates that the kubelet asked a signer for.
func TestPodCertificates(t *testing.T) {
	const name = "e2e-pod-certificates"
	if why := unsigned(t); why != "" {
		t.Skip(why)
	}
	namespace(t, name)
	s := sign(t, name)
	begun := time.Now()
	apply(t, overlay(t, "overlays/pod-certificates"), "-n", name)
	says(t, []string{"logs", "-n", name, "deployment/basic"}, "您好", "pong!")
	t.Logf("from apply to the greeting, with keys that the kubelet made: %s", time.Since(begun).Round(time.Millisecond))
	rolled(t, name, "basic", "pluginzh")
	host := port(t, name, "deployment/basic", "8080")
	untilReady(t, host, 2)
	for _, e := range endpointsOf(host) {
		if !strings.Contains(e.TLS, "pluginzh") {
			t.Errorf("%s is attached with a certificate of %q", e.Address, e.TLS)
		}
		t.Logf("%s is attached by TLS, with a certificate of %s", e.Address, e.TLS)
	}
	if n := s.signed.Load(); n != 3 {
		t.Errorf("%d certificates were signed for three pods", n)
	}
	stranger := caller(t, name, "stranger")
	until(t, "a host without a certificate is refused", func() bool {
		all := endpointsOf(stranger)
		return len(all) > 0 && strings.Contains(all[0].LastError, "TLS")
	})
	notRestarted(t, name)
}
