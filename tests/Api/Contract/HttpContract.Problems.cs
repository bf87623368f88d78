using UPool.Api.Tests.Hosts;

namespace UPool.Api.Tests.Contract;

/// <content>Errors as <c>application/problem+json</c>.</content>
public abstract partial class HttpContract
{
    [Theory]
    [InlineData("application/problem+json")]
    [InlineData("application/json, Application/Problem+JSON; q=0.1")]
    public async Task Error_AcceptNamesProblemJson_IsAProblem(string accept)
    {
        (string, string) header = ("Accept", accept);

        (await Client.CallAsync("GET", "/user/list?limit=0", headers: header)).IsProblem(
            400, """{"title":"Bad Request","status":400,"detail":"limit must be a whole number from 1 to 50"}""");
        (await Client.CallAsync("GET", "/nothing", headers: header))
            .IsProblem(404, """{"title":"Not Found","status":404,"detail":"not found"}""");
        (await Client.CallAsync("PATCH", "/user/1", headers: header))
            .IsProblem(405, """{"title":"Method Not Allowed","status":405,"detail":"method not allowed"}""");
        (await Client.CallAsync("GET", "/", headers: header)).Is(200, """{"code":1,"msg":"API is running"}""");
    }

    [Theory]
    [InlineData("*/*")]
    [InlineData("application/*")]
    [InlineData("application/json")]
    [InlineData("application/problem+json; q=0")]
    [InlineData("application/problem+json2")]
    [InlineData("application/problem+json/x, , ;")]
    public async Task Error_AcceptDoesNotNameProblemJson_IsTheEnvelope(string accept) =>
        (await Client.CallAsync("GET", "/nothing", headers: ("Accept", accept))).Refuses(404, "not found");
}
