package openai

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/breakwater-llm/breakwater/llm"
)

// image reads image_url: an object with url and detail, or the url alone.
func (d *requestDecoder) image(path string, v []byte) []llm.Part {
	media := llm.Media{}
	link := ""
	if v[0] == '"' {
		link = d.str(path, v)
	} else if d.object(path, v) {
		d.fields(v, func(name string, v []byte) {
			at := path + "." + name
			switch name {
			case "url":
				link = d.str(at, v)
			case "detail":
				if media.Detail = d.str(at, v); media.Detail == "auto" {
					media.Detail = ""
				}
			default:
				d.extra("messages.content.image_url."+name, at, v)
			}
		})
	}
	if link == "" {
		d.fail(path+".url", "%s.url is required", path)
	}
	if mime, data, ok := splitDataURL(link); ok {
		media.MIME, media.Data = mime, data
	} else if strings.HasPrefix(link, "data:") {
		d.fail(path+".url", "%s.url is not a valid data URL", path)
	} else {
		media.URL = link
	}
	return []llm.Part{{Type: llm.PartImage, Media: &media}}
}

func (d *requestDecoder) audio(path string, v []byte) []llm.Part {
	if !d.object(path, v) {
		return nil
	}
	media := llm.Media{}
	d.fields(v, func(name string, v []byte) {
		at := path + "." + name
		switch name {
		case "data":
			media.Data = d.str(at, v)
		case "format":
			media.Format = d.str(at, v)
		default:
			d.extra("messages.content.input_audio."+name, at, v)
		}
	})
	if media.Data == "" {
		d.fail(path+".data", "%s.data is required", path)
	}
	if _, data, ok := splitDataURL(media.Data); ok {
		media.Data = data
	}
	media.MIME = audioMIME(media.Format)
	return []llm.Part{{Type: llm.PartAudio, Media: &media}}
}

func (d *requestDecoder) file(path string, v []byte) []llm.Part {
	if !d.object(path, v) {
		return nil
	}
	media := llm.Media{}
	d.fields(v, func(name string, v []byte) {
		at := path + "." + name
		switch name {
		case "file_data":
			media.Data = d.str(at, v)
		case "file_id":
			media.FileID = d.str(at, v)
		case "filename":
			media.Name = d.str(at, v)
		default:
			d.extra("messages.content.file."+name, at, v)
		}
	})
	switch {
	case media.FileID != "":
		media.Data = ""
	case strings.HasPrefix(media.Data, "https://"), strings.HasPrefix(media.Data, "http://"): // OpenRouter
		media.URL, media.Data = media.Data, ""
	case media.Data == "":
		d.fail(path, "%s needs file_data or file_id", path)
	default:
		if mime, data, ok := splitDataURL(media.Data); ok {
			media.MIME, media.Data = mime, data
		} else if strings.HasPrefix(media.Data, "data:") {
			d.fail(path+".file_data", "%s.file_data is not a valid data URL", path)
		} else if strings.HasSuffix(strings.ToLower(media.Name), ".pdf") {
			media.MIME = "application/pdf"
		}
	}
	return []llm.Part{{Type: llm.PartDocument, Media: &media}}
}

// splitDataURL takes a data URL apart. Data that is not in base64 is put into it.
func splitDataURL(u string) (mime, data string, ok bool) {
	rest, ok := strings.CutPrefix(u, "data:")
	if !ok {
		return "", "", false
	}
	head, data, ok := strings.Cut(rest, ",")
	if !ok {
		return "", "", false
	}
	mime, params, _ := strings.Cut(head, ";")
	if params == "base64" || strings.HasSuffix(params, ";base64") {
		return mime, data, data != ""
	}
	text, err := url.PathUnescape(data)
	if err != nil || text == "" {
		return "", "", false
	}
	return mime, base64.StdEncoding.EncodeToString([]byte(text)), true
}

func dataURL(mime, data string) string { return "data:" + mime + ";base64," + data }

func audioMIME(format string) string {
	if format == "mp3" {
		return "audio/mpeg"
	}
	if format == "" {
		return ""
	}
	return "audio/" + format
}

func audioFormat(m *llm.Media) string {
	if m.Format != "" {
		return m.Format
	}
	switch format := strings.TrimPrefix(strings.TrimPrefix(m.MIME, "audio/"), "x-"); format {
	case "mpeg":
		return "mp3"
	case "wave", "vnd.wave":
		return "wav"
	default:
		return format
	}
}
