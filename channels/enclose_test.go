package channels

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/conversation"
)

// TestFilesAreEnclosed: where the driver says so, text and files are one call, also
// when there is no text.
func TestFilesAreEnclosed(t *testing.T) {
	t.Parallel()
	d := &envelope{}
	c := channelOf(d, &shelf{saved: map[conversation.AttachmentID]string{{1}: "one", {2}: "two"}})
	for _, o := range []conversation.Outbound{outboundWith("hello", "a.txt", "b.txt"), outboundWith("", "a.txt"), outboundWith("alone")} {
		if _, err := c.Send(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"hello a.txt=one b.txt=two", " a.txt=one", "alone"}; !slices.Equal(d.sent, want) {
		t.Errorf("sent %q, want %q", d.sent, want)
	}
}

// TestFilesThatDoNotFitGoAsLinks: those that fit are enclosed all the same.
func TestFilesThatDoNotFitGoAsLinks(t *testing.T) {
	t.Parallel()
	o := outboundWith("hello", "a.txt", "b.txt", "c.txt")
	for i, size := range []int64{60, 60, 40} {
		o.Attachments[i].Size = size
	}
	d, s := &envelope{}, &shelf{public: "https://x.example", saved: map[conversation.AttachmentID]string{{1}: "one", {3}: "three"}}
	if _, err := channelOf(d, s).Send(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if want := "hello\nb.txt: https://x.example/" + o.Attachments[1].ID.String() + "?life=168h0m0s a.txt=one c.txt=three"; !slices.Equal(d.sent, []string{want}) {
		t.Errorf("sent %q, want %q", d.sent, want)
	}
	s.public = ""
	if _, err := channelOf(d, s).Send(t.Context(), o); classified(err).Code != "files_too_large" || ClassOf(err) != Permanent || len(d.sent) != 1 {
		t.Errorf("without a public address: %v", err)
	}
}

// envelope sends text and files together.
type envelope struct {
	silent
	sent []string
}

func (*envelope) Limits() Limits { return Limits{Encloses: 100} }

func (d *envelope) Send(ctx context.Context, p Part) (string, error) {
	call := []string{string(p.Text)}
	for _, f := range p.Enclosed {
		body, err := f.Open(ctx)
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(body)
		if err != nil {
			return "", err
		}
		call = append(call, f.Name+"="+string(b))
	}
	d.sent = append(d.sent, strings.Join(call, " "))
	return "", nil
}
