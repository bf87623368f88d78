using UPool.Api.Users;
using UPool.Cluster;
using UPool.Grains;

namespace UPool.Api.Tests.Hosts;

/// <summary>Users in memory; while a script is set, every call ends as it says.</summary>
internal sealed class FakeUsers : IUsers
{
    private const int MaxName = 255;

    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, User> _users = [];
    private long _lastId;

    public delegate Task<Outcome> Scripted(Deadline deadline, CancellationToken cancellationToken);

    /// <summary>If set, the end of every call.</summary>
    public Scripted? Script { get; set; }

    public ValueTask<Reply<UserPage>> ListAsync(
        int limit, long after, Deadline deadline, CancellationToken cancellationToken) =>
        new(RunAsync(() =>
        {
            User[] rows = [.. _users.Values.Where(user => user.Id > after).Take(limit + 1)];
            using var page = new UserPageWriter();
            foreach (User user in rows.Take(limit)) page.Add(user.Id, user.Name);
            return Reply.Ok(page.Finish(hasMore: rows.Length > limit));
        }, deadline, cancellationToken));

    public ValueTask<Reply<User>> GetAsync(long id, Deadline deadline, CancellationToken cancellationToken) =>
        new(RunAsync(
            () => _users.TryGetValue(id, out User? user) ? Reply.Ok(user) : Reply.NotFound<User>(),
            deadline,
            cancellationToken));

    public Task<Reply<User>> CreateAsync(string name, Deadline deadline, CancellationToken cancellationToken) =>
        RunAsync(() => IsName(name) ? Reply.Ok(Add(name)) : WrongName<User>(), deadline, cancellationToken);

    public Task<Reply<User[]>> CreateBatchAsync(
        string[] names, Deadline deadline, CancellationToken cancellationToken) =>
        RunAsync(
            () => names.All(IsName) ? Reply.Ok(names.Select(Add).ToArray()) : WrongName<User[]>(),
            deadline,
            cancellationToken);

    public Task<Reply<User>> RenameAsync(
        long id, string name, Deadline deadline, CancellationToken cancellationToken) =>
        RunAsync(
            () => !IsName(name) ? WrongName<User>()
                : _users.ContainsKey(id) ? Reply.Ok(_users[id] = new User(id, name))
                : Reply.NotFound<User>(),
            deadline,
            cancellationToken);

    public Task<Reply<User>> DeleteAsync(long id, Deadline deadline, CancellationToken cancellationToken) =>
        RunAsync(
            () => _users.Remove(id, out User? user) ? Reply.Ok(user) : Reply.NotFound<User>(),
            deadline,
            cancellationToken);

    private static bool IsName(string name) => name.Length is > 0 and <= MaxName;

    private static Reply<T> WrongName<T>() => Reply.Invalid<T>($"name must have 1 to {MaxName} characters");

    private User Add(string name)
    {
        var user = new User(++_lastId, name);
        _users.Add(user.Id, user);
        return user;
    }

    private async Task<Reply<T>> RunAsync<T>(Func<Reply<T>> run, Deadline deadline, CancellationToken cancellationToken)
    {
        if (Script is { } script) return (await script(deadline, cancellationToken)).As<T>();

        lock (_gate) return run();
    }
}

/// <summary>An end of a call other than a value.</summary>
internal sealed record Outcome(ReplyStatus Status, RefusalReason Refusal = default, string? Detail = null)
{
    public Reply<T> As<T>() => new() { Status = Status, Refusal = Refusal, Detail = Detail };
}
