package email

import (
	"strings"
	"testing"
)

func TestTextOfHTML(t *testing.T) {
	tests := []struct{ name, html, want string }{
		{"words and lines", "<p>Hello  <b>big</b>\n world</p><p>Next<br>line</p>", "Hello big world\nNext\nline"},
		{"lists", "<ul><li>one</li><li>two</li></ul>", "• one\n• two"},
		{"links", `<a href="https://x.example/a">here</a> and <a href="https://x.example">https://x.example</a>, <a href="javascript:alert(1)">not</a>`, "here (https://x.example/a) and https://x.example, not"},
		{"what nobody sees", `<style>p{}</style><script>evil()</script><p style="display : none">hidden</p><p hidden>hidden</p><span style="font-size:0px">hidden</span><div style="DISPLAY:NONE"><div>hidden</div>hidden</div>seen`, "seen"},
		{"small print is seen", `<p style="font-size:0.9em">seen</p>`, "seen"},
		{"hidden without end", `<p>seen</p><div style="display:none">hidden`, "seen"},
		{"paragraphs without end", strings.Repeat("<p>x", 600) + `<p style="display:none">hidden</p>`, strings.TrimRight(strings.Repeat("x\n", 600), "\n")},
		{"quotes", "<p>Yes.</p><blockquote><p>Really?</p><p>Sure?</p></blockquote><p>After.</p>", "Yes.\n> Really?\n> Sure?\nAfter."},
		{"entities", "a&nbsp;&lt;b&gt; &amp;&#20320;", "a <b> &你"},
		{"broken", "<p<b>x</p></div></blockquote>y<", "x\ny<"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := body(textOf(tt.html)); got != tt.want {
				t.Errorf("textOf(%q) =\n%q, want\n%q", tt.html, got, tt.want)
			}
		})
	}
}

// What is shown of a mail's HTML runs nothing, fetches nothing and covers nothing.
func TestHTMLIsCleaned(t *testing.T) {
	evil := []string{
		`<img src="https://track.example/p.gif">`, `<img src=x onerror=alert(1)>`, `<p style="background:url(https://track.example)">x</p>`,
		`<style>@import url(https://track.example)</style>`, `<link rel=stylesheet href="https://track.example">`, `<script>alert(1)</script>`,
		`<a href="javascript:alert(1)">x</a>`, `<a href="data:text/html,x" onclick="alert(1)">x</a>`, `<iframe src="https://track.example"></iframe>`,
		`<form action="https://track.example"><input></form>`, `<svg onload=alert(1)><image href="https://track.example"/></svg>`,
		`<body background="https://track.example" onload="x()">`, `<table background="https://track.example"><tr><td background="https://track.example">x`,
		`<video poster="https://track.example"></video>`, `<base href="https://track.example">`, `<meta http-equiv=refresh content="0;url=https://track.example">`,
		`<div style="position:fixed;top:0">x</div>`, `<object data="https://track.example"></object>`, `<math><a xlink:href="javascript:alert(1)">x</a></math>`,
		`<input type=image src="https://track.example">`, `<p id=x class=y>z</p>`,
	}
	p := newPolicy()
	for _, html := range evil {
		got := p.Sanitize(html)
		for _, bad := range []string{"track.example", "javascript:", "data:", "style", "onerror", "onload", "onclick", "<script", "<svg", "<form", "id=", "class="} {
			if strings.Contains(strings.ToLower(got), bad) {
				t.Errorf("%s became %s, which holds %q", html, got, bad)
			}
		}
	}
	const good = `<p>Hello <b>you</b>, see <a href="https://shop.example/o?id=1">this</a></p><table><tr><td colspan="2">x</td></tr></table>`
	got := p.Sanitize(good)
	for _, want := range []string{"<b>you</b>", `href="https://shop.example/o?id=1"`, "noreferrer", `colspan="2"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s became %s, which lacks %s", good, got, want)
		}
	}
}

func TestQuotesAreCut(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"Gmail", "Yes.\n\nOn Mon, 2 Mar 2026 at 10:00, Shop <s@x.example> wrote:\n> Really?\n", "Yes."},
		{"broken over lines", "Yes.\n\nOn Monday, the second of March 2026,\nShop Support Department <s@x.example>\nwrote:\n\n> Really?", "Yes."},
		{"Gmail in Chinese", "好的\n\n商店 <s@x.example> 于2026年3月2日周一 10:00写道：\n> 真的吗", "好的"},
		{"Apple in Chinese", "好的\n\n在 2026年3月2日，10:00，商店 <s@x.example> 写道：\n\n> 真的吗", "好的"},
		{"Foxmail", "好的\n\n\n发件人： 商店\n发送时间： 2026-03-02 10:00\n收件人： 我\n主题： 回复\n真的吗", "好的"},
		{"QQ", "好的\n\n\n------------------&nbsp;原始邮件&nbsp;------------------\n", "好的\n\n------------------&nbsp;原始邮件&nbsp;------------------"},
		{"QQ as text", "好的\n\n------------------ 原始邮件 ------------------\n发件人: x\n", "好的"},
		{"Outlook", "Yes.\n\n-----Original Message-----\nFrom: Shop\nSent: today\n", "Yes."},
		{"a letter about letters", "From: what I see, it is broken.\nPlease help.", "From: what I see, it is broken.\nPlease help."},
		{"he wrote", "On the box somebody wrote: fragile.\nWhat does it mean?", "On the box somebody wrote: fragile.\nWhat does it mean?"},
		{"a forwarded mail", "See below.\n\n---------- Forwarded message ---------\nFrom: x\n", "See below.\n\n---------- Forwarded message ---------\nFrom: x"},
		{"between", "On 1 March Shop wrote:\n> Size?\n\nLarge.\n\n> Colour?\n\nBlue.\n\n> Bye", "On 1 March Shop wrote:\n> Size?\n\nLarge.\n\n> Colour?\n\nBlue."},
		{"signed", "Yes.\n-- \nAnn\n+49 30 1", "Yes."},
		{"signed above the quote", "Yes.\n-- \nAnn\n\n> Really?", "Yes."},
		{"no signature", "--\nYes.", "--\nYes."},
		{"a long list below dashes", "Yes.\n--\n" + strings.Repeat("item\n", 30), strings.TrimSpace("Yes.\n--\n" + strings.Repeat("item\n", 30))},
		{"from a telephone", "好的\n\n发自我的iPhone", "好的"},
		{"only a quote", "> Really?", "> Really?"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &message{plain: tt.text}
			if got := m.said(); got != tt.want {
				t.Errorf("said(%q) =\n%q, want\n%q", tt.text, got, tt.want)
			}
		})
	}
}
