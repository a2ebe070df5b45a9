import SystemPackage

/// Saving what can be read of a damaged store.
extension Store {
  /// Copies every record that can be read of a damaged store into a new one, and says what was
  /// lost.
  ///
  /// Works where the store cannot be opened: with damaged or lost superblocks (as long as one of
  /// them still has the store's seed), index, log or space table, and with a file that was cut
  /// short. The old file is opened for reading only and not changed. Of a store that others have
  /// open, the state of its last commit is read; waits, up to the timeout, for a process that
  /// truncates it.
  ///
  /// The new store appears at its path when it is complete and durable, or not at all; a file that
  /// is there is never replaced, unless it is empty. Values keep their expiry and their version.
  ///
  /// Where the index is damaged, the whole log is searched. See ``Store/Durability`` for what can be
  /// known then and what cannot.
  ///
  /// O(size of the file) in time; memory in proportion to the records of the log after the last
  /// checkpoint and to the keys that have to be searched for.
  ///
  /// - Parameters:
  ///   - source: the damaged store.
  ///   - new: where the new store is to be.
  ///   - options: used are `allowNetworkFileSystem`, `mode` and `timeout`.
  ///   - progress: called now and then, with the number of records copied so far and the share of
  ///     the current step that is done, from 0 to 1.
  /// - Throws: ``Store/Error`` with `cannotCreate`, `diskFull`, `notEnoughMemory`,
  ///   `networkFileSystem` or `busy` for the new store; `notFound`, `notAStore`, `newerFormat`,
  ///   `damaged` if nothing at all can be read, `busy` or `lost` for the old one. Nothing is
  ///   created then.
  public static func salvage(
    from source: some Store.Path, into new: some Store.Path, options: Store.Options = Store.Options(),
    progress: (_ records: Int, _ share: Double) -> Void = { _, _ in }
  ) throws(Store.Error) -> Store.SalvageReport {
    let (source, new) = (try source.storePath(), try new.storePath())
    let target = Opening(path: new, options: options, clock: .system)
    let opening = Opening(path: source, options: options, clock: .system)
    do throws(Store.Error) { try target.checkIsFree() } catch { throw error.naming(new.string) }
    let view: SourceView
    do throws(Store.Error) {
      view = try SourceView(opening)
      if let error = view.seedError { throw error }
    } catch {
      throw error.naming(source.string)
    }
    return try withoutActuallyEscaping(progress) { progress throws(Store.Error) -> Store.SalvageReport in
      let salvager = Salvager(view, progress: progress)
      do throws(Store.Error) { try salvager.prepare() } catch { throw error.naming(source.string) }
      do throws(Store.Error) {
        _ = try target.createComplete(firstSequence: salvager.firstSequence) { core throws(Store.Error) in
          try salvager.fill(core)
          return true
        }
      } catch {
        throw error.code == .lost ? error.naming(source.string) : error.naming(new.string)
      }
      return salvager.report
    }
  }
}
