using UPool.Api.Tests.Hosts;
using UPool.Cluster;

namespace UPool.Api.Tests.Http;

/// <summary>A client's view of each end of a call, in memory.</summary>
public sealed class InMemoryOutcomeTests() : OutcomeTests(sockets: false);

/// <summary>A client's view of each end of a call, on sockets.</summary>
public sealed class SocketOutcomeTests() : OutcomeTests(sockets: true);

/// <summary>Outcomes that are hard to cause: the rows of the design's table "Replies".</summary>
public abstract class OutcomeTests(bool sockets)
{
    public static TheoryData<string, string, string?> Calls => new()
    {
        { "GET", "/user/list", null },
        { "GET", "/user/1", null },
        { "POST", "/user", """{"name":"x"}""" },
        { "POST", "/user/batch", """[{"name":"x"}]""" },
        { "PUT", "/user/1", """{"name":"x"}""" },
        { "DELETE", "/user/1", null },
    };

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task Any_Refused_Is503WithItsReason(string method, string path, string? body)
    {
        await using ApiHost host = await ApiHost.StartAsync(
            sockets, new() { ["UPool:Http:RetryAfter"] = "00:00:02.5" });
        foreach ((RefusalReason reason, string name) in new[]
        {
            (RefusalReason.TimedOut, "timed-out"),
            (RefusalReason.QueueFull, "queue-full"),
            (RefusalReason.PredictedLate, "predicted-late"),
            (RefusalReason.NoPermits, "no-permits"),
            (RefusalReason.Draining, "draining"),
        })
        {
            var refused = new Outcome(ReplyStatus.Refused, reason, "pool 'users': no");
            Seen seen = await SeeAsync(host, refused, method, path, body);

            seen.Refuses(503, "queue empty");
            Assert.Equal((name, "3"), (seen.Header("UPool-Reason"), seen.Header("Retry-After")));
        }
    }

    [Fact]
    public async Task List_RefusedAndAskedForAsProblem_NamesTheReason()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets);
        host.Users.Script = static (_, _) => Task.FromResult(new Outcome(ReplyStatus.Refused, RefusalReason.QueueFull));

        Seen seen = await host.Client.CallAsync("GET", "/user/list", headers: ("Accept", "application/problem+json"));

        seen.IsProblem(
            503, """{"title":"Service Unavailable","status":503,"detail":"queue empty","reason":"queue-full"}""");
        Assert.Equal(("queue-full", "1"), (seen.Header("UPool-Reason"), seen.Header("Retry-After")));
    }

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task Any_OtherOutcome_IsAsTheTableSays(string method, string path, string? body)
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets);

        Seen unavailable = await SeeAsync(host, new Outcome(ReplyStatus.Unavailable), method, path, body);
        unavailable.Refuses(503, "error");
        Assert.Equal(("unavailable", "1"), (unavailable.Header("UPool-Reason"), unavailable.Header("Retry-After")));

        Seen failed = await SeeAsync(host, new Outcome(ReplyStatus.Failed, Detail: "secret"), method, path, body);
        failed.Refuses(500, "error");
        Assert.Null(failed.Header("UPool-Reason"));
        Assert.Null(failed.Header("Retry-After"));

        (await SeeAsync(host, new Outcome(ReplyStatus.DeadlineExceeded), method, path, body)).Refuses(504, "error");
        (await SeeAsync(host, new Outcome(ReplyStatus.OutcomeUnknown), method, path, body))
            .Refuses(504, "outcome unknown");
        (await SeeAsync(host, new Outcome(ReplyStatus.NotFound), method, path, body)).Refuses(404, "not found");
        (await SeeAsync(host, new Outcome(ReplyStatus.Invalid, Detail: "name is odd"), method, path, body))
            .Refuses(400, "name is odd");
    }

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task Any_Exception_Is500LoggedOnceWithoutValues(string method, string path, string? body)
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets);
        host.Users.Script = static (_, _) =>
            throw new InvalidOperationException("Duplicate entry 'hunter2'", new IOException("hunter2"));

        (await host.Client.CallAsync(method, path, Bytes(body), "application/json")).Refuses(500, "error");

        string line = Assert.Single(host.Log.All, static line => line.StartsWith("Error", StringComparison.Ordinal));
        Assert.Contains("System.InvalidOperationException", line, StringComparison.Ordinal);
        Assert.Contains("caused by System.IO.IOException", line, StringComparison.Ordinal);
        Assert.DoesNotContain(host.Log.All, static line => line.Contains("hunter2", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Any_OkWithoutAValue_Is500()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets);

        (await SeeAsync(host, new Outcome(ReplyStatus.Ok), "GET", "/user/1", null)).Refuses(500, "error");
    }

    [Fact]
    public async Task Any_Call_CarriesTheDeadlineOfTheRequest()
    {
        await using ApiHost host = await ApiHost.StartAsync(
            sockets, new() { ["UPool:Http:RequestTimeout"] = "00:01:00" });
        TimeSpan left = default;
        host.Users.Script = (deadline, _) =>
        {
            left = deadline.Remaining();
            return Task.FromResult(new Outcome(ReplyStatus.NotFound));
        };

        await host.Client.CallAsync("GET", "/user/1");
        Assert.InRange(left, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1));
    }

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task AlwaysReply200_AnyOutcome_HasTheSameBodyAndStatus200(string method, string path, string? body)
    {
        await using ApiHost plain = await ApiHost.StartAsync(sockets);
        await using ApiHost always = await ApiHost.StartAsync(
            sockets, new() { ["UPool:Http:AlwaysReply200"] = "true" });
        foreach (Outcome? outcome in new[]
        {
            null,
            new Outcome(ReplyStatus.Refused, RefusalReason.TimedOut),
            new Outcome(ReplyStatus.Unavailable),
            new Outcome(ReplyStatus.Failed),
            new Outcome(ReplyStatus.DeadlineExceeded),
            new Outcome(ReplyStatus.OutcomeUnknown),
            new Outcome(ReplyStatus.Ok), // A bug: the exception's reply.
        })
        {
            Seen expected = await SeeAsync(plain, outcome, method, path, body);
            Seen seen = await SeeAsync(always, outcome, method, path, body);

            seen.Is(200, expected.Body);
            Assert.Equal(expected.Header("UPool-Reason"), seen.Header("UPool-Reason"));
            Assert.Equal(expected.Header("Location"), seen.Header("Location"));
        }
    }

    [Fact]
    public async Task AlwaysReply200_TheOriginalsReplies_AreThoseOfTheOriginal()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets, new() { ["UPool:Http:AlwaysReply200"] = "true" });
        await host.Client.SendJsonAsync("POST", "/user", """{"name":"Ada"}""");

        (await host.Client.CallAsync("GET", "/")).Is(200, """{"code":1,"msg":"API is running"}""");
        (await host.Client.CallAsync("GET", "/user/list"))
            .Is(200, """{"code":1,"msg":"ok","data":[{"id":1,"name":"Ada"}]}""");
        (await SeeAsync(host, new Outcome(ReplyStatus.Refused, RefusalReason.TimedOut), "GET", "/user/list", null))
            .Is(200, """{"code":0,"msg":"queue empty"}""");
        (await SeeAsync(host, new Outcome(ReplyStatus.Failed), "GET", "/user/list", null))
            .Is(200, """{"code":0,"msg":"error"}""");
    }

    [Fact]
    public async Task AlwaysReply200_WhileStopping_ReadinessKeepsItsStatus()
    {
        await using ApiHost host = await ApiHost.StartAsync(sockets, new() { ["UPool:Http:AlwaysReply200"] = "true" });
        host.Status.IsStopping = true;

        Assert.Equal(503, (await host.Client.CallAsync("GET", "/health/ready")).Status);
        Assert.Equal(200, (await host.Client.CallAsync("GET", "/user/1")).Status);
    }

    private static byte[]? Bytes(string? body) => body is null ? null : System.Text.Encoding.UTF8.GetBytes(body);

    private static async Task<Seen> SeeAsync(ApiHost host, Outcome? outcome, string method, string path, string? body)
    {
        host.Users.Script = outcome is null ? null : (_, _) => Task.FromResult(outcome);
        return await host.Client.CallAsync(method, path, Bytes(body), "application/json");
    }
}
