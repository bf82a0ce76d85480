package web_test

import (
	"net/http"
	"testing"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/channels/web"
)

func TestConformance(t *testing.T) {
	channeltest.Run(t, channeltest.Suite{
		New:     func(testing.TB, http.RoundTripper) channels.Driver { return web.Driver{} },
		Account: "shop",
	})
}
