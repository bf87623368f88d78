using System.Text;
using System.Text.Json;
using UPool.Api.Tests.Hosts;

namespace UPool.Api.Tests.Contract;

/// <summary>
/// The contract with the original's statuses: 200 for every user route, with the bodies and headers of
/// <see cref="HttpContract"/>. Health and management keep their statuses.
/// </summary>
public abstract class AlwaysReply200Contract
{
    internal static readonly Dictionary<string, string?> Settings = new(HttpContract.Settings)
    {
        ["UPool:Http:AlwaysReply200"] = "true",
    };

    private protected abstract HttpClient Client { get; }

    [Fact]
    public async Task User_ThroughItsLife_HasTheSameBodies()
    {
        Seen created = await Client.SendJsonAsync("POST", "/user", """{"name":"Ada"}""");
        long id = created.Id;
        string path = $"/user/{id}";
        created.Is(200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{id}}},"name":"Ada"}}""");
        Assert.Equal(path, created.Header("Location"));

        (await Client.SendJsonAsync("PUT", path, """{"name":"Grace"}"""))
            .Is(200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{id}}},"name":"Grace"}}""");
        (await Client.CallAsync("GET", $"/user/list?after={id - 1}&limit=1"))
            .Is(200, $$$"""{"code":1,"msg":"ok","data":[{"id":{{{id}}},"name":"Grace"}]}""");
        (await Client.CallAsync("DELETE", path))
            .Is(200, $$$"""{"code":1,"msg":"ok","data":{"id":{{{id}}},"name":"Grace"}}""");
        (await Client.CallAsync("GET", path)).Refuses(200, "not found");
        (await Client.CallAsync("DELETE", path)).Refuses(200, "not found");
        (await Client.SendJsonAsync("PUT", path, """{"name":"Joan"}""")).Refuses(200, "not found");
    }

    [Fact]
    public async Task CreateBatch_RightOrWrong_SaysSoInTheBodyAlone()
    {
        Seen created = await Client.SendJsonAsync("POST", "/user/batch", """[{"name":"a"},{"name":"b"}]""");
        JsonElement users = created.Json.GetProperty("data");
        Assert.Equal((200, 2), (created.Status, users.GetArrayLength()));
        long last = users[1].GetProperty("id").GetInt64();

        (await Client.SendJsonAsync("POST", "/user/batch", """[{"name":"c"},{"name":""}]"""))
            .RefusesSaying(200, "name");
        (await Client.CallAsync("GET", $"/user/list?after={last}")).Is(200, """{"code":1,"msg":"ok","data":[]}""");
    }

    [Theory]
    [InlineData("GET", "/user/x", null, null, "id must be a whole number from 1 to 9223372036854775807")]
    [InlineData("GET", "/user/list?limit=51", null, null, "limit must be a whole number from 1 to 50")]
    [InlineData("POST", "/user", "{}", "application/json", "name is missing")]
    [InlineData("POST", "/user", "x", "text/plain", "Content-Type must be application/json in UTF-8")]
    [InlineData("GET", "/nothing", null, null, "not found")]
    [InlineData("PATCH", "/user/1", null, null, "method not allowed")]
    [InlineData("PUT", "/user/batch", null, null, "method not allowed")]
    public async Task Any_Refused_SaysSoInTheBodyAlone(
        string method, string path, string? body, string? type, string message) =>
        (await Client.CallAsync(method, path, body is null ? null : Encoding.UTF8.GetBytes(body), type))
            .Refuses(200, message);

    [Fact]
    public async Task Create_BodyAboveTheLimit_SaysSoInTheBodyAlone() =>
        (await Client.SendJsonAsync("POST", "/user", $$"""{"name":"{{new string('x', 262_144)}}"}"""))
            .Refuses(200, "the body is too large");

    [Fact]
    public async Task HealthAndManagement_Any_KeepTheirStatuses()
    {
        (await Client.CallAsync("GET", "/upool/nothing")).Refuses(404, "not found");
        (await Client.CallAsync("DELETE", "/health/live")).Refuses(405, "method not allowed");
    }
}
