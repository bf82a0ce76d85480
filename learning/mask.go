package learning

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTextRunes bounds a kept text; longer ones are cut.
const maxTextRunes = 200

// The forms that are masked: addresses of mail and of pages, and everything that
// is digits for a while, as numbers of orders, phones and cards are.
var (
	mailForm   = regexp.MustCompile(`[\p{Latin}0-9._%+\-]+@[\p{Latin}0-9.\-]+\.\p{Latin}{2,}`)
	pageForm   = regexp.MustCompile(`(?i)\b(?:https?://|www\.)[^\s，。；！？、）】]+`)
	handleForm = regexp.MustCompile(`(?i)(微信号?|wechat|weixin|qq|vx)[\s:：是]*[a-z0-9_\-]{5,}`)
	codeForm   = regexp.MustCompile(`\b[A-Za-z]{1,6}[\-_]?\pN[\pN\-_A-Za-z]{4,}\b`)
	digitForm  = regexp.MustCompile(`\pN(?:[\pN\s\-.()（）]{0,2}\pN){4,}`)
	hanForm    = regexp.MustCompile(`[零〇一二三四五六七八九幺两]{5,}`)
	codePlace  = regexp.MustCompile(`\pN`)
)

// mask takes out of a text what may name a person or a matter of theirs, and
// keeps its shape: a number stays one, with zeros for its digits, so that packs
// still read it as one. Names are not found.
func mask(text string) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "")
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	text = cutRunes(text, 2*maxTextRunes) // more is cut in the end anyway
	text = mailForm.ReplaceAllString(text, "name@example.com")
	text = pageForm.ReplaceAllString(text, "https://example.com")
	text = handleForm.ReplaceAllString(text, "$1 00000")
	text = codeForm.ReplaceAllStringFunc(text, func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) {
				return 'X'
			}
			return r
		}, codePlace.ReplaceAllString(s, "0"))
	})
	text = digitForm.ReplaceAllStringFunc(text, func(s string) string { return codePlace.ReplaceAllString(s, "0") })
	text = hanForm.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("零", utf8.RuneCountInString(s)) })
	return cutRunes(text, maxTextRunes)
}

func cutRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
