using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace UPool.Api.Tests.Hosts;

/// <summary>A reply as a client sees it.</summary>
internal sealed record Seen(int Status, string Body, HttpResponseHeaders Headers, HttpContentHeaders ContentHeaders)
{
    /// <summary>The value of a header, or null.</summary>
    public string? Header(string name) =>
        Headers.TryGetValues(name, out IEnumerable<string>? values) || ContentHeaders.TryGetValues(name, out values)
            ? string.Join(", ", values)
            : null;

    public JsonElement Json => JsonDocument.Parse(Body).RootElement;

    public long Id => Json.GetProperty("data").GetProperty("id").GetInt64();
}

internal static class Calls
{
    public static Task<Seen> SendJsonAsync(this HttpClient client, string method, string path, string json) =>
        client.CallAsync(method, path, Encoding.UTF8.GetBytes(json), "application/json");

    public static async Task<Seen> CallAsync(
        this HttpClient client, string method, string path, byte[]? body = null, string? contentType = null,
        params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            if (contentType is not null) request.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        }

        foreach ((string name, string value) in headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
                request.Content!.Headers.TryAddWithoutValidation(name, value);
        }

        using HttpResponseMessage response = await client.SendAsync(request).WaitAsync(Patience.Long);
        string text = await response.Content.ReadAsStringAsync();
        return new Seen((int)response.StatusCode, text, response.Headers, response.Content.Headers);
    }

    /// <summary>Asserts that the reply has exactly this envelope and status.</summary>
    public static void Is(this Seen seen, int status, string body)
    {
        Assert.Equal((status, body), (seen.Status, seen.Body));
        Assert.Equal("application/json; charset=utf-8", seen.Header("Content-Type"));
    }

    /// <summary>Asserts that the reply is exactly this problem (RFC 9457).</summary>
    public static void IsProblem(this Seen seen, int status, string body)
    {
        Assert.Equal((status, body), (seen.Status, seen.Body));
        Assert.Equal("application/problem+json; charset=utf-8", seen.Header("Content-Type"));
    }

    /// <summary>Asserts that the reply is a refusal in the envelope with this message.</summary>
    public static void Refuses(this Seen seen, int status, string message) =>
        seen.Is(status, $$"""{"code":0,"msg":"{{message}}"}""");

    /// <summary>Asserts that the reply is a refusal in the envelope whose message contains this part.</summary>
    public static void RefusesSaying(this Seen seen, int status, string part)
    {
        Assert.Equal(status, seen.Status);
        Assert.Equal("application/json; charset=utf-8", seen.Header("Content-Type"));
        Assert.Equal(["code", "msg"], seen.Json.EnumerateObject().Select(static property => property.Name));
        Assert.Equal(0, seen.Json.GetProperty("code").GetInt32());
        Assert.Contains(part, seen.Json.GetProperty("msg").GetString(), StringComparison.Ordinal);
    }
}
