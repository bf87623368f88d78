using System.Globalization;
using Microsoft.Extensions.Options;
using UPool.Api.Http;
using UPool.Cluster;
using UPool.Grains;
using UPool.Management;

namespace UPool.Api.Users;

/// <summary>The routes of the users. docs/operating/runbook.md, "A reply over HTTP", lists the failures.</summary>
internal sealed class UserEndpoints(IUsers users, IOptions<HttpOptions> options, TimeProvider clock)
{
    private readonly HttpOptions _options = options.Value;

    public static Task RootAsync(HttpContext context) =>
        EnvelopeResponse.WriteAsync(context, StatusCodes.Status200OK, "API is running");

    public async Task ListAsync(HttpContext context)
    {
        if (!RequestArguments.TryReadPage(
            context.Request.Query, _options.MaxRows, out int limit, out long after, out string? wrong))
        {
            await RefuseAsync(context, wrong);
            return;
        }

        Reply<UserPage> reply = await users.ListAsync(limit, after, StartDeadline(), context.RequestAborted);
        if (reply is { Status: ReplyStatus.Ok, Value: { } page })
        {
            context.RequestAborted.ThrowIfCancellationRequested();
            await EnvelopeResponse.WriteAsync(
                context, StatusCodes.Status200OK, page, UserPageReply.LengthOf(page), UserPageReply.Write);
        }
        else
        {
            await FailAsync(context, reply);
        }
    }

    public async Task GetAsync(HttpContext context)
    {
        if (!RequestArguments.TryReadId(context, out long id, out string? wrong))
            await RefuseAsync(context, wrong);
        else
            await ReplyAsync(context, await users.GetAsync(id, StartDeadline(), context.RequestAborted));
    }

    public async Task CreateAsync(HttpContext context)
    {
        Deadline deadline = StartDeadline();
        if (await ReadNameAsync(context, deadline) is not { } name) return;

        Reply<User> reply = await users.CreateAsync(name, deadline, context.RequestAborted);
        if (reply is { Status: ReplyStatus.Ok, Value: { } user })
            context.Response.Headers.Location = "/user/" + user.Id.ToString(CultureInfo.InvariantCulture);
        await ReplyAsync(context, reply, StatusCodes.Status201Created);
    }

    public async Task CreateBatchAsync(HttpContext context)
    {
        Deadline deadline = StartDeadline();
        string[]? names;
        using (RequestBody body = await RequestBody.ReadAsync(context, _options.MaxBodyBytes, deadline, clock))
        {
            string? wrong = body.Wrong;
            names = null;
            if (wrong is not null || !UserBody.TryReadNames(body.Utf8, out names, out wrong))
            {
                await RefuseAsync(context, wrong, body.Wrong is null ? StatusCodes.Status400BadRequest : body.Status);
                return;
            }
        }

        Reply<User[]> reply = await users.CreateBatchAsync(names, deadline, context.RequestAborted);
        if (reply is { Status: ReplyStatus.Ok, Value: { } created })
        {
            context.RequestAborted.ThrowIfCancellationRequested();
            await EnvelopeResponse.WriteAsync(
                context, StatusCodes.Status201Created, new UsersReply(1, "ok", created), UserJson.Default.UsersReply);
        }
        else
        {
            await FailAsync(context, reply);
        }
    }

    public async Task RenameAsync(HttpContext context)
    {
        Deadline deadline = StartDeadline();
        if (!RequestArguments.TryReadId(context, out long id, out string? wrong))
            await RefuseAsync(context, wrong);
        else if (await ReadNameAsync(context, deadline) is { } name)
            await ReplyAsync(context, await users.RenameAsync(id, name, deadline, context.RequestAborted));
    }

    public async Task DeleteAsync(HttpContext context)
    {
        if (!RequestArguments.TryReadId(context, out long id, out string? wrong))
            await RefuseAsync(context, wrong);
        else
            await ReplyAsync(context, await users.DeleteAsync(id, StartDeadline(), context.RequestAborted));
    }

    private static Task RefuseAsync(HttpContext context, string wrong, int status = StatusCodes.Status400BadRequest) =>
        EnvelopeResponse.WriteAsync(context, status, wrong);

    private Deadline StartDeadline() => Deadline.After(_options.RequestTimeout, clock);

    // Reads the name; null if the request has been answered.
    private async Task<string?> ReadNameAsync(HttpContext context, Deadline deadline)
    {
        using RequestBody body = await RequestBody.ReadAsync(context, _options.MaxBodyBytes, deadline, clock);
        string? wrong = body.Wrong;
        if (wrong is null && UserBody.TryReadName(body.Utf8, out string? name, out wrong)) return name;

        await RefuseAsync(context, wrong!, body.Wrong is null ? StatusCodes.Status400BadRequest : body.Status);
        return null;
    }

    private Task ReplyAsync(HttpContext context, Reply<User> reply, int okStatus = StatusCodes.Status200OK)
    {
        if (reply is not { Status: ReplyStatus.Ok, Value: { } user }) return FailAsync(context, reply);

        // No reply to a client that has disconnected; the envelope middleware logs 499.
        context.RequestAborted.ThrowIfCancellationRequested();
        return EnvelopeResponse.WriteAsync(context, okStatus, user, UserReply.Write);
    }

    private Task FailAsync<T>(HttpContext context, Reply<T> reply)
    {
        context.RequestAborted.ThrowIfCancellationRequested();
        (int status, string message) = reply.Status switch
        {
            ReplyStatus.NotFound => (StatusCodes.Status404NotFound, "not found"),
            ReplyStatus.Invalid => (StatusCodes.Status400BadRequest, reply.Detail ?? "bad request"),
            ReplyStatus.Refused => (StatusCodes.Status503ServiceUnavailable, "queue empty"),
            ReplyStatus.Failed => (StatusCodes.Status500InternalServerError, "error"),
            ReplyStatus.Unavailable => (StatusCodes.Status503ServiceUnavailable, "error"),
            ReplyStatus.DeadlineExceeded => (StatusCodes.Status504GatewayTimeout, "error"),
            ReplyStatus.OutcomeUnknown => (StatusCodes.Status504GatewayTimeout, "outcome unknown"),
            _ => throw new InvalidOperationException($"bug: a reply of status {reply.Status} came without its value"),
        };
        if (status == StatusCodes.Status503ServiceUnavailable)
        {
            RefusalReason reason = reply.Status == ReplyStatus.Unavailable ? RefusalReason.Unavailable : reply.Refusal;
            Refusals.WriteHeaders(context.Response, reason, _options.RetryAfter);
        }

        return EnvelopeResponse.WriteAsync(context, status, message);
    }
}
