namespace UPool.Core;

/// <summary>Settings that replace those a connector opens with, once the server has accepted them.</summary>
internal interface ICandidate
{
    /// <summary>Opens a session with these settings, as <see cref="IConnector.OpenAsync"/> does.</summary>
    Task<PhysicalConnection> OpenAsync();

    /// <summary>Makes the connector use these settings. Called under the pool's lock; sends nothing.</summary>
    void Adopt();
}
