using System.Text.Json;
using UPool.Api.Tests.Hosts;

namespace UPool.Api.Tests.Http;

/// <summary>The OpenAPI document, in Production.</summary>
public sealed class OpenApiTests
{
    [Fact]
    public async Task Document_Any_DescribesEveryRouteAndReply()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: false);
        Seen seen = await host.Client.CallAsync("GET", "/openapi/v1.json");
        JsonElement paths = seen.Json.GetProperty("paths");

        Assert.Equal(200, seen.Status);
        string[] described = [.. paths.EnumerateObject().SelectMany(Describe).Order()];
        Assert.Equal(
            [
                "delete /user/{id}: 200 400 404 500 503 504",
                "get /: 200 503",
                "get /health/live: 200",
                "get /health/ready: 200 503",
                "get /health/startup: 200 503",
                "get /upool/pool: 200 401 403 404 503",
                "get /user/list: 200 400 500 503 504",
                "get /user/{id}: 200 400 404 500 503 504",
                "post /user/batch: 201 400 408 413 415 500 503 504",
                "post /user: 201 400 408 413 415 500 503 504",
                "put /user/{id}: 200 400 404 408 413 415 500 503 504",
            ],
            described);
    }

    private static IEnumerable<string> Describe(JsonProperty path)
    {
        foreach (JsonProperty operation in path.Value.EnumerateObject())
        {
            IEnumerable<string> statuses = operation.Value.GetProperty("responses").EnumerateObject()
                .Select(static response => response.Name).Order();
            yield return $"{operation.Name} {path.Name}: {string.Join(' ', statuses)}";
        }
    }

    private static JsonElement At(JsonElement element, params string[] path) =>
        path.Aggregate(element, static (at, name) => at.GetProperty(name));

    [Fact]
    public async Task Document_Details_AreThere()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: false);
        JsonElement paths = (await host.Client.CallAsync("GET", "/openapi/v1.json")).Json.GetProperty("paths");

        JsonElement list = paths.GetProperty("/user/list").GetProperty("get");
        Assert.Equal(
            ["limit", "after"],
            list.GetProperty("parameters").EnumerateArray().Select(static p => p.GetProperty("name").GetString()));
        JsonElement refused = list.GetProperty("responses").GetProperty("503");
        Assert.Equal(6, At(refused, "headers", "UPool-Reason", "schema", "enum").GetArrayLength());
        Assert.True(refused.GetProperty("headers").TryGetProperty("Retry-After", out _));
        Assert.Contains("queue empty", refused.GetProperty("description").GetString(), StringComparison.Ordinal);

        JsonElement create = paths.GetProperty("/user").GetProperty("post");
        Assert.True(At(create, "responses", "201", "headers").TryGetProperty("Location", out _));
        Assert.True(create.GetProperty("requestBody").GetProperty("required").GetBoolean());

        JsonElement batch = At(paths, "/user/batch", "post", "requestBody", "content", "application/json", "schema");
        Assert.Equal((1, 1000), (batch.GetProperty("minItems").GetInt32(), batch.GetProperty("maxItems").GetInt32()));
    }

    [Fact]
    public async Task Document_HeadAndUnknown_AreAnsweredInOrder()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets: true);

        Assert.Equal(200, (await host.Client.CallAsync("HEAD", "/openapi/v1.json")).Status);
        Assert.Equal(404, (await host.Client.CallAsync("GET", "/openapi/v2.json")).Status);
        Assert.Equal(405, (await host.Client.CallAsync("POST", "/openapi/v1.json")).Status);
    }
}
