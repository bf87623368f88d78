using UPool.Cluster;
using UPool.Cluster.Workers;

namespace UPool.Grains;

/// <summary>The users of <c>tb1</c>. A stateless worker: call it through <see cref="WorkerClient{TGrain}"/>.</summary>
[Alias("UPool.IUserGrain")]
public interface IUserGrain : IGrainWithIntegerKey
{
    /// <summary>Users in id order.</summary>
    /// <param name="limit">The most users in the reply, 1 or more.</param>
    /// <param name="after">Only ids above this one.</param>
    /// <param name="deadline">When the reply is due.</param>
    /// <param name="cancellationToken">Cancelled when the caller disconnects.</param>
    [Spread, Alias("List")]
    Task<Reply<UserPage>> List(int limit, long after, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>The user with an id.</summary>
    [Spread, Alias("Get")]
    Task<Reply<User>> Get(long id, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>The users with these ids, 1 to 256, in the same order; null for an id without a user.</summary>
    [Spread, Alias("GetMany")]
    Task<Reply<User?[]>> GetMany(long[] ids, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Creates a user.</summary>
    [Spread, Alias("Create")]
    Task<Reply<User>> Create(string name, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Creates users in one transaction, all or none; replies in the order of the names.</summary>
    [Spread, Alias("CreateBatch")]
    Task<Reply<User[]>> CreateBatch(string[] names, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Gives a user another name.</summary>
    [Spread, Alias("Rename")]
    Task<Reply<User>> Rename(long id, string name, Deadline deadline, CancellationToken cancellationToken);

    /// <summary>Deletes a user; replies with the deleted user.</summary>
    [Spread, Alias("Delete")]
    Task<Reply<User>> Delete(long id, Deadline deadline, CancellationToken cancellationToken);
}
