namespace UPool.Core;

/// <summary>Settings that take the place of those a connector opens with, once the server has accepted them.</summary>
internal interface ICandidate
{
    /// <summary>Opens a session with them; as <see cref="IConnector.OpenAsync"/>.</summary>
    Task<PhysicalConnection> OpenAsync();

    /// <summary>From now on the connector opens with them. Called under the pool's lock; sends nothing.</summary>
    void Adopt();
}
